"""Who may do what with images: the rules of stock Glance (its documentation: "Glance Policies").

Of an image the target says `project_id` (its owner), `owner`, `visibility`, and `member_id`: the caller's project where
the image is shared with it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from gateway.rest.policy import Credentials, Operation, Policy, Target
from image_registry.records import Image, Visibility

RULES: Final = {
    "context_is_admin": "role:admin",
    "service_api": "role:service or role:admin",
    "of_project": "project_id:%(project_id)s",
    "of_member": "project_id:%(member_id)s",
    "open": "'community':%(visibility)s or 'public':%(visibility)s or 'shared':%(visibility)s",
    "project_member": "rule:context_is_admin or (role:member and rule:of_project)",
    "project_reader": "rule:context_is_admin or (role:reader and rule:of_project)",
    "image_reader": "rule:context_is_admin or (role:reader and (rule:of_project or rule:of_member or rule:open))",
    "image_member": "rule:context_is_admin or (role:member and (rule:of_project or rule:of_member or rule:open))",
    "sharing_reader": "rule:context_is_admin or (role:reader and (rule:of_project or rule:of_member))",
    "namespace_reader": (
        "rule:context_is_admin or (role:reader and (rule:of_project or 'public':%(visibility)s))"
    ),
}  # fmt: skip

_SCOPES: Final = ("project",)

OPERATIONS: Final = tuple(
    Operation(name, check, _SCOPES)
    for name, check in {
        "add_image": (
            "rule:context_is_admin or (role:member and rule:of_project and project_id:%(owner)s)"
        ),
        "delete_image": "rule:project_member",
        "get_image": "rule:image_reader",
        "get_images": "rule:project_reader",
        "modify_image": "rule:project_member",
        "publicize_image": "rule:context_is_admin",
        "communitize_image": "rule:project_member",
        "download_image": "rule:image_member",
        "upload_image": "rule:project_member",
        "add_image_location": "rule:service_api or (role:member and rule:of_project and project_id:%(owner)s)",
        "fetch_image_location": "rule:service_api",
        "add_member": "rule:project_member",
        "delete_member": "rule:project_member",
        "get_member": "rule:sharing_reader",
        "get_members": "rule:sharing_reader",
        "modify_member": "rule:context_is_admin or (role:member and rule:of_member)",
        "manage_image_cache": "rule:context_is_admin",
        "deactivate": "rule:project_member",
        "reactivate": "rule:project_member",
        "copy_image": "rule:context_is_admin",
        "delete_from_store": "rule:context_is_admin",
        "stores_info_detail": "rule:context_is_admin",
        "get_task": "rule:project_reader",
        "get_tasks": "rule:project_reader",
        "tasks_api_access": "rule:context_is_admin",
        "cache_image": "rule:context_is_admin",
        "cache_list": "rule:context_is_admin",
        "cache_delete": "rule:context_is_admin",
        "get_metadef_namespace": "rule:namespace_reader",
        "get_metadef_namespaces": "rule:project_reader",
        "modify_metadef_namespace": "rule:context_is_admin",
        "add_metadef_namespace": "rule:context_is_admin",
        "delete_metadef_namespace": "rule:context_is_admin",
        "list_metadef_resource_types": "rule:namespace_reader",
        "get_metadef_resource_type": "rule:namespace_reader",
        "add_metadef_resource_type_association": "rule:context_is_admin",
        "remove_metadef_resource_type_association": "rule:context_is_admin",
        "get_metadef_object": "rule:namespace_reader",
        "get_metadef_objects": "rule:namespace_reader",
        "modify_metadef_object": "rule:context_is_admin",
        "add_metadef_object": "rule:context_is_admin",
        "delete_metadef_object": "rule:context_is_admin",
        "get_metadef_property": "rule:namespace_reader",
        "get_metadef_properties": "rule:namespace_reader",
        "modify_metadef_property": "rule:context_is_admin",
        "add_metadef_property": "rule:context_is_admin",
        "remove_metadef_property": "rule:context_is_admin",
        "get_metadef_tag": "rule:namespace_reader",
        "get_metadef_tags": "rule:namespace_reader",
        "modify_metadef_tag": "rule:context_is_admin",
        "add_metadef_tag": "rule:context_is_admin",
        "add_metadef_tags": "rule:context_is_admin",
        "delete_metadef_tag": "rule:context_is_admin",
        "delete_metadef_tags": "rule:context_is_admin",
    }.items()
)  # fmt: skip
"""Tokens for the system or a domain may nothing, as in stock Glance: whose image would it be?"""


def image_target(image: Image, project: str | None) -> Target:
    """What policy may ask about an image, for a caller of a project. One that is shared is open to those that it is
    shared with alone."""
    is_member = any(member.project_id == project for member in image.members)
    sharing = image.visibility is Visibility.SHARED
    return {
        "project_id": image.owner,
        "owner": image.owner,
        "visibility": Visibility.PRIVATE if sharing and not is_member else image.visibility,
        "member_id": project if sharing and is_member else "",
    }


def sees(policy: Policy, credentials: Credentials, image: Image) -> bool:
    """Whether a caller may know that there is such an image."""
    project = credentials.get("project_id")
    target = image_target(image, project if isinstance(project, str) else None)
    return bool(policy.decide("get_image", credentials, target))


def image_policy(overrides: Mapping[str, str] | None = None) -> Policy:
    """The table, with an operator's changes."""
    return Policy(OPERATIONS, RULES, overrides)
