"""What holds for every HTML page that psal writes."""
import html.parser
import shutil
import subprocess

from checks import check

VOID = {"meta", "img", "br", "rect"}
HOSTILE = "\"><script>alert('x')</script><img src=x onerror=y>"


class Page(html.parser.HTMLParser):
    """What is in a page; `wrong`: what must not be"""
    def __init__(self, text):
        super().__init__()
        self.open, self.ids, self.links, self.pictures, self.wrong, self.text, self.heads = [], [], [], [], [], "", []
        self.feed(text)
        self.close()
        if self.open:
            self.wrong.append(f"not closed: {self.open}")
        self.wrong += [f"twice: {name}" for name in set(self.ids) if self.ids.count(name) > 1]
        self.wrong += [f"leads nowhere: {link}" for link in self.links if link not in self.ids]

    def handle_starttag(self, tag, attributes):
        values = dict(attributes)
        if tag not in VOID:
            self.open.append(tag)
        if "id" in values:
            self.ids.append(values["id"])
        if tag in ("h1", "h2", "h3"):
            self.heads.append("")
        if tag in ("script", "link", "iframe", "object", "form") or any(name.startswith("on") for name in values):
            self.wrong.append(f"<{tag} {values}>")
        if tag == "img":
            self.pictures.append(values.get("alt"))
            if not values.get("src", "").startswith("data:image/") or not values.get("alt"):
                self.wrong.append(f"picture {values.get('src', '')[:40]} {values.get('alt')}")
        if "href" in values:
            self.links.append(values["href"][1:])
            if not values["href"].startswith("#"):
                self.wrong.append(values["href"])

    def handle_startendtag(self, tag, attributes):
        if tag not in VOID:
            self.handle_starttag(tag, attributes)
            self.handle_endtag(tag)

    def handle_endtag(self, tag):
        if tag in VOID:
            return
        if not self.open or self.open.pop() != tag:
            self.wrong.append(f"</{tag}>")

    def handle_data(self, data):
        self.text += data
        if self.open and self.open[-1] in ("h1", "h2", "h3"):
            self.heads[-1] += data


def look_at(name, path):
    """The page, after what holds for every one"""
    text = path.read_text()
    page = Page(text)
    check(f"{name}: well-formed, nothing from elsewhere, links lead somewhere", not page.wrong, page.wrong[:5])
    check(f"{name}: a policy that forbids what could run", "default-src 'none'" in text and "<script" not in text)
    check(f"{name}: language, title, one heading", 'lang="en"' in text and "<title>" in text and text.count("<h1>") == 1)
    if shutil.which("tidy"):
        done = subprocess.run(["tidy", "-q", "-e", path], capture_output=True, text=True)
        check(f"{name}: tidy", done.returncode == 0, done.stderr[:500])
    return page
