"""Which way a page scrolls: down, and nothing else."""

from toys.browser import Browser

_WITHIN = """
return [...document.querySelectorAll('main *')].filter((e) => {
  const s = getComputedStyle(e);
  return (e.scrollWidth > e.clientWidth + 1 || e.scrollHeight > e.clientHeight + 1)
    && [s.overflowX, s.overflowY].some((o) => o === 'auto' || o === 'scroll');
}).map((e) => e.className || e.tagName);
"""


def scrolled_parts(tab: Browser) -> list[str]:
    """Parts of the page that would have to be scrolled by themselves to be seen whole: their classes."""
    parts: list[str] = tab.run(_WITHIN)
    return parts


def check_width(tab: Browser, width: int) -> None:
    """The page is no wider than its screen of so many pixels."""
    wide, inner = tab.run("return [document.scrollingElement.scrollWidth, window.innerWidth]")
    assert wide <= inner == width
