"""What stock Glance says of an image: its rules (glance/location.py, `set_data`) over oslo.utils' inspectors.

Where Glance comes to no answer (an error of its own that it lets pass) the oracle says that it accepts.
"""

from __future__ import annotations

import logging
from io import BytesIO

from oslo_utils.imageutils import format_inspector

logging.getLogger("oslo_utils.imageutils.format_inspector").setLevel(logging.CRITICAL)

_CHUNK = 64 * 1024


def accepts(content: bytes, disk_format: str) -> bool:
    wrapper = format_inspector.InspectWrapper(BytesIO(content))
    try:
        while wrapper.read(_CHUNK):
            pass
        wrapper.close()
        found = {str(each): each for each in wrapper.formats or ()}
        inspector = found["iso"] if found.keys() == {"iso", "gpt"} else wrapper.format
        name = str(inspector)
        unknown = name == "raw" and disk_format not in format_inspector.ALL_FORMATS
        if name != disk_format and not unknown and disk_format != "raw":
            return False
        assert inspector is not None
        inspector.safety_check()
    except AttributeError:
        return True
    except Exception:  # of Glance's own, too: it refuses what it fails to look through
        return False
    return True


def virtual_size(content: bytes, disk_format: str) -> int:
    inspector = format_inspector.ALL_FORMATS[disk_format]()
    for start in range(0, len(content), _CHUNK):
        inspector.eat_chunk(content[start : start + _CHUNK])
    inspector.finish()
    return int(inspector.virtual_size)
