"""What the volume API gets of the image registry, and gives it."""

from __future__ import annotations

from collections.abc import Mapping

import pytest
import trio

from drystone.volume_images import VolumeImages
from gateway.rest.errors import ForbiddenError, TooLargeError
from gateway.rest.images import WantedImage
from gateway.rest.policy import Credentials
from image_registry.service import ImageConfig
from store.core.errors import InvalidError, NotFoundError
from tests.image_registry.cloud import Cloud


async def who(cloud: Cloud, token: str) -> Credentials:
    held = await cloud.service.identity.tokens.read(token)
    assert held is not None
    return held.credentials


def wanted(properties: Mapping[str, str], visibility: str = "private") -> WantedImage:
    return WantedImage("made", "raw", "bare", visibility, False, properties, 1)


async def test_an_image_of_others_is_not_there(cloud: Cloud) -> None:
    images = VolumeImages(cloud.service, cloud.volumes)
    for visibility, seen in (("private", False), ("shared", False), ("community", True)):
        image = await cloud.active(b"bits", name=visibility, visibility=visibility)
        stranger = await who(cloud, "member@red")
        assert bool(await images.named(visibility, stranger)) is seen
        if seen:
            assert (await images.find(image["id"], stranger)).status == "active"
        else:
            with pytest.raises(NotFoundError):
                await images.find(image["id"], stranger)


async def test_a_deactivated_image_says_so(cloud: Cloud) -> None:
    image = await cloud.active(b"bits")
    await cloud.ask("POST", f"/v2/images/{image['id']}/actions/deactivate")
    images = VolumeImages(cloud.service, cloud.volumes)
    assert (await images.find(image["id"], await who(cloud, "member@blue"))).status == "deactivated"


async def test_what_a_volume_says_of_its_image_becomes_properties_alone(cloud: Cloud) -> None:
    """Whoever has the volume may have said anything."""
    images = VolumeImages(cloud.service, cloud.volumes)
    said = {
        "os_type": "linux",
        "owner": "red",
        "os_glance_import_task": "x",
        "direct_url": "file:///x",
        "locations": "",
    }
    id_ = await images.begin(wanted(said), await who(cloud, "member@blue"))
    assert (await cloud.service.images.find(id_)).image.properties == {"os_type": "linux"}
    with pytest.raises(TooLargeError):
        await images.begin(wanted({f"p{number}": "" for number in range(129)}), await who(cloud, "member@blue"))
    with pytest.raises(ForbiddenError):
        await images.begin(wanted({}, "public"), await who(cloud, "member@blue"))
    assert await cloud.used() == {"image_count_total": 1}


async def test_an_image_of_a_volume_is_no_larger_than_others(autojump_clock: trio.testing.MockClock) -> None:
    async with trio.open_nursery() as nursery:
        cloud = Cloud(config=ImageConfig(size_max=4096))
        await nursery.start(cloud.service.run)
        images = VolumeImages(cloud.service, cloud.volumes)
        await cloud.volumes.create("disk", 8192, "standard")
        await cloud.volumes.snapshot("disk", "now")
        id_ = await images.begin(wanted({}), await who(cloud, "member@blue"))
        with pytest.raises(InvalidError):
            await images.seal(id_, "disk", "now")
        assert await cloud.stored() == set()
        nursery.cancel_scope.cancel()
