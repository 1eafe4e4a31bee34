"""Who is here: links, membership, total order and quorum, as cores without input or output."""
