"""The suites' configuration files: what they are told of the cloud that they test."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from tests.conformance.openstack.web import QCOW2, RAW
from tests.process.program import Program

PASSWORD_RULES: Final[Mapping[str, int]] = {
    "unique_last_password_count": 2,
    "lockout_failure_attempts": 2,
    "lockout_duration": 5,
}
"""Of a cloud whose rules for passwords are tested: what tempest takes for granted where it tests them."""


OTHER_IMAGE: Final = "cirros-conformance-disk"
"""As openstackclient's tests look for one by its name."""
EXTERNAL: Final = "public"
"""The external network of a cloud whose networks are tested."""


@dataclass(frozen=True)
class Cloud:
    """A running cloud and its administrator, who is `admin` in the project and in the system."""

    url: str
    password: str
    username: str = "admin"
    project: str = "admin"
    region: str = "RegionOne"
    images: str = ""
    """The URL of a folder with disk images, from which the cloud may fetch them; "" for none."""
    image: str = ""
    """The id of an image that everybody sees; "" for none."""
    network: str = ""
    """The id of an external network; "" for none: then there are no networks to be tested."""
    flavors: tuple[str, str] | None = None
    """The ids of two small flavors, the second larger; None: there are no servers to be tested."""
    image_file: str = ""
    """`image` as a file, QCOW2."""
    ssh_user: str = ""
    """Who logs into servers of `image`; "" where nobody is to."""
    other_image: str = ""
    """The id of another image than `image`, where servers are tested."""
    extensions: tuple[str, ...] = ()
    """Of the network API, by their aliases."""
    password_rules: Mapping[str, int] = field(default_factory=dict)
    """Some of `security_compliance`; none where they are off, as by default in stock Keystone."""

    @property
    def identity(self) -> str:
        """Where Keystone's API is, without a version."""
        return f"{self.url.rstrip('/')}/identity"


def identity_config(password_rules: Mapping[str, int], hypervisor: str = "") -> str:
    """The text of the file for `drystone up --identity-config`. `hypervisor`: as libvirt calls the one of servers."""
    rules = (f"{name} = {value}" for name, value in password_rules.items())
    servers = ["[compute]", f'hypervisor = "{hypervisor}"'] if hypervisor else []
    return "\n".join(["[security_compliance]", *rules, "[image]", 'web_download_hosts = ["127.0.0.1"]', *servers, ""])


def of_program(program: Program, password_rules: Mapping[str, int], images: str, image: str) -> Cloud:
    """A Drystone of this machine, as its `admin-openrc` describes it."""
    exported = program.settings()
    return Cloud(
        program.url,
        exported["OS_PASSWORD"],
        exported["OS_USERNAME"],
        exported["OS_PROJECT_NAME"],
        exported["OS_REGION_NAME"],
        images,
        image,
        password_rules=password_rules,
    )


def tempest_conf(cloud: Cloud, folder: str, *, system: bool = False) -> str:
    """The text of tempest.conf, as for a stock devstack that has identity and objects alone.

    `folder` is for logs and locks. `system`: tempest makes its users as administrator of the system, not of a project.
    """
    auth = {
        "use_dynamic_credentials": "true",  # each class of tests makes users, projects and domains of its own
        "admin_username": cloud.username,
        "admin_password": cloud.password.replace("$", "$$"),  # $ refers to another option
        "admin_project_name": cloud.project,
        "admin_domain_name": "Default",
    }
    sections: dict[str, dict[str, str]] = {
        "DEFAULT": {"log_dir": folder, "log_file": "tempest.log", "use_stderr": "false"},
        "oslo_concurrency": {"lock_path": f"{folder}/locks"},
        "auth": {**auth, "admin_system": "all"} if system else auth,
        "identity": {
            "uri_v3": f"{cloud.identity}/v3",
            "auth_version": "v3",
            "region": cloud.region,
            "v3_endpoint_type": "public",
            **{f"user_{name}": str(value) for name, value in cloud.password_rules.items()},
        },
        "identity-feature-enabled": {
            "api_v2": "false",
            "api_v3": "true",
            "trust": "true",
            "application_credentials": "true",
            "access_rules": "true",
            "project_tags": "true",
            "domain_specific_drivers": "false",
            "security_compliance": str(bool(cloud.password_rules)).lower(),
            "federation": "false",  # a cloud beside this one
            "external_idp": "false",
        },
        "enforce_scope": {"keystone": "true"},
        "service_available": {
            **dict.fromkeys(("swift", "glance", "cinder"), "true"),
            "horizon": "false",
            "nova": str(cloud.flavors is not None).lower(),
            "neutron": str(bool(cloud.network)).lower(),
        },
        **_servers(cloud),
        "volume": {
            "min_microversion": "3.0",
            "max_microversion": "latest",
            "vendor_name": "Drystone",
            "storage_protocol": "nbd",
            "disk_format": "raw",
            "manage_volume_ref": "source-name,volume-%s",
        },
        "volume-feature-enabled": {
            "backup": "true",
            "extend_attached_volume": "false",  # by a server, which there is none of
            "multi_backend": "false",
            "volume_revert": "true",
            "consistency_group": "false",
        },
        "network": {
            "public_network_id": cloud.network,
            "floating_network_name": EXTERNAL,
            "shared_physical_network": "false",
        },
        "network-feature-enabled": {
            "ipv6": "true",
            "ipv6_subnet_attributes": "true",
            "port_security": "true",
            "api_extensions": ",".join(cloud.extensions),
        },
        "image": {
            "http_image": f"{cloud.images}/{RAW}",
            "http_qcow2_image": f"{cloud.images}/{QCOW2}",
            "disk_formats": "raw,qcow2,vhd,vmdk,vdi,iso,vhdx,ami,ari,aki",
            # Tests of lists send anything as images of each format, in the first container: nobody looks into this one.
            "container_formats": "ovf,bare,ami,ari,aki,ova,docker,compressed",
            "image_caching_enabled": "false",  # there is none to be looked into: the store is the cache
        },
        "image-feature-enabled": {
            "import_image": "true",
            "http_store_enabled": "true",  # locations on the web are fetched
            "os_glance_reserved": "true",
            "image_format_enforcement": "false",
        },
    }
    lines = []
    for section, options in sections.items():
        lines += [f"[{section}]", *(f"{name} = {value}" for name, value in options.items()), ""]
    return "\n".join(lines)


def _servers(cloud: Cloud) -> dict[str, dict[str, str]]:
    """What is said of servers."""
    flavor, larger = cloud.flavors or ("", "")
    return {
        "compute": {
            "image_ref": cloud.image,
            "image_ref_alt": cloud.other_image or cloud.image,
            "flavor_ref": flavor,
            "flavor_ref_alt": larger,
            "min_microversion": "2.1",
            "max_microversion": "2.96",
            "hypervisor_type": "QEMU",
        },
        "validation": {
            "run_validation": str(bool(cloud.ssh_user)).lower(),
            "image_ssh_user": cloud.ssh_user,
            "image_alt_ssh_user": cloud.ssh_user,
            "connect_method": "floating",
            "ssh_timeout": "120",
        },
        "scenario": {"img_file": cloud.image_file, "img_disk_format": "qcow2"},
        "compute-feature-enabled": {
            "disk_config": "true",
            "change_password": "false",  # there is no agent in the guests
            "console_output": "true",
            "resize": "true",
            "pause": "true",
            "shelve": "true",
            "suspend": "true",
            "cold_migration": "false",  # to another host, which there is none of
            "live_migration": "false",
            "vnc_console": "true",
            "serial_console": "true",
            "spice_console": "false",
            "rescue": "true",
            "personality": "false",
            "interface_attach": "true",
            "snapshot": "true",
            "config_drive": "true",
            "metadata_service": "true",
            "attach_encrypted_volume": "false",
        },
    }


def clouds_yaml(cloud: Cloud) -> str:
    """The text of clouds.yaml, with the names that devstack uses. JSON is YAML."""
    administrator = {
        "auth_url": cloud.identity,
        "username": cloud.username,
        "password": cloud.password,
        "user_domain_id": "default",
    }
    project = {"project_name": cloud.project, "project_domain_id": "default"}
    common = {"region_name": cloud.region, "identity_api_version": "3"}
    clouds = {
        "devstack-admin": {**common, "auth": {**administrator, **project}},
        "devstack-system-admin": {**common, "auth": {**administrator, "system_scope": "all"}},
    }
    return json.dumps({"clouds": clouds}, indent=2) + "\n"
