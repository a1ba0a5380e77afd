"""What a buffer is called where it is watched."""


def plain(name: str) -> str:
    r"""
    Return *name*; of half of a surrogate pair, for which UTF-8 has no bytes, an escape: `\ud800`.

    One that cannot be encoded costs whoever watches a whole scrape, or a whole export.
    """
    return name.encode(errors="backslashreplace").decode()
