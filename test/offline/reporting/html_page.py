"""What a browser would show, load or run of a page."""

from html.parser import HTMLParser


class Page(HTMLParser):
    """A page read back: its tags, the addresses in it, texts in place of plots, text."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.addresses: list[str] = []
        self.plots: list[str] = []
        self.shown = ''
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.addresses += [value or '' for name, value in attrs if name in ('src', 'href')]
        if ('class', 'plot') in attrs:
            self.plots.append(dict(attrs)['alt'] or '')

    def handle_data(self, data: str) -> None:
        self.shown += data
