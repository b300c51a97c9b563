"""The words of posts: titles, texts, hashtags and links, drawn from each post's key."""

from infra.sandbox.posts import Post

THINGS = (
    "pan",
    "bike",
    "ridge",
    "lens",
    "lamp",
    "garden",
    "keyboard",
    "harbour",
    "sourdough",
    "notebook",
    "telescope",
    "jacket",
    "playlist",
    "budget",
    "trail",
    "kettle",
)
_OPENINGS = (
    "How I fixed the",
    "A week with the",
    "What nobody says about the",
    "Five ways to use a",
    "The honest",
    "Building a better",
    "Packing the",
    "Why I sold my",
)


def title(post: Post) -> str:
    """A post's headline."""
    return f"{_OPENINGS[post.key % 8]} {THINGS[(post.key >> 8) % 16]}"


def description(post: Post) -> str:
    """The text below a video, with its disclosure where there is one in words."""
    text = f"{title(post)}: notes and links. #{post.account.topic}"
    if post.is_sponsored:
        text += f" #ad Thanks to Northwind: https://shop.example/{post.key % 9999}"
    return text


def note(post: Post) -> tuple[str, list[str], str | None]:
    """The text of a short post, its hashtags and its link."""
    tags = [post.account.topic] if post.key % 3 else []
    if post.is_sponsored:
        tags.append("ad")
    has_link = post.format == "link" or post.is_sponsored
    ending = "?" if post.relation == "reply" else ". Grüße 🌿" if post.key % 5 == 0 else "."
    return title(post) + ending, tags, f"https://{post.account.topic}.example/{post.key % 9999}" if has_link else None
