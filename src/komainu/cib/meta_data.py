"""Read the meta-data that an agent printed, as the XML it should be. Must not know what is in it.

Source: OCF resource agent API 1.1 and the fence agent API: a `resource-agent` element on standard output.
"""

from typing import Final

from lxml import etree

META_DATA_BYTES_MAX: Final = 256 * 1024
"""The longest meta-data of the field's agents is 40 kB."""


def read_meta_data(text: str) -> etree._Element | None:
    """Return the `resource-agent` element; None when the agent printed none. What stands before it is ignored."""
    data = text.encode("utf-8", "replace")
    if len(data) > META_DATA_BYTES_MAX:
        return None
    parser = etree.XMLParser(resolve_entities=False, no_network=True, load_dtd=False, huge_tree=False)
    try:
        root = etree.fromstring(data[max(0, data.find(b"<")) :], parser)
    except etree.XMLSyntaxError:
        return None
    return root if root.tag == "resource-agent" and root.find("actions/action") is not None else None
