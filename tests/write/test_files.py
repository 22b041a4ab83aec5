"""Files and folders: what is found, what each format gives, and what is refused with which next step."""

from __future__ import annotations

import importlib.util
import io
import os
import sys
import zipfile
from pathlib import Path
from typing import Any

import pytest

from remanence.errors import InputError, InputTooLargeError, MissingExtraError, UnreadableFileError
from remanence.settings import Settings
from remanence.write.files import SUFFIXES, find_files, read_file

needs_pypdf = pytest.mark.skipif(not importlib.util.find_spec("pypdf"), reason="needs the extra 'files' (pypdf)")
needs_docx = pytest.mark.skipif(not importlib.util.find_spec("docx"), reason="needs the extra 'files' (python-docx)")


def read(path: Path, data: bytes | str, **settings: Any) -> list[dict[str, Any]]:
    path.write_bytes(data if isinstance(data, bytes) else data.encode())
    return read_file(path, root=path, settings=Settings(**settings)).messages


def contents(messages: list[dict[str, Any]]) -> list[tuple[str, str]]:
    return [(message["meta"].get("heading", ""), message["content"]) for message in messages]


# --- finding ----------------------------------------------------------------------------------------------------------


def plant(root: Path, *names: str) -> None:
    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("text", encoding="utf-8")


def test_a_folder_is_walked_in_order_without_what_is_hidden_or_unknown(tmp_path):
    plant(
        tmp_path, "b.md", "a/z.txt", "a/B.HTML", "a.txt", ".hidden.md", ".git/c.md", "a/.x/d.md", "photo.png", "noext"
    )
    found = [path.relative_to(tmp_path).as_posix() for path in find_files(tmp_path)]
    assert found == ["a/B.HTML", "a/z.txt", "a.txt", "b.md"]


def test_a_file_named_directly_is_the_file(tmp_path):
    plant(tmp_path, ".hidden.md")
    assert find_files(str(tmp_path / ".hidden.md")) == [tmp_path / ".hidden.md"]


@pytest.mark.skipif(sys.platform == "win32", reason="links need a privilege there")
def test_links_that_leave_the_folder_are_passed_over_and_no_file_comes_twice(tmp_path):
    plant(tmp_path, "notes/a.md", "notes/.secret/b.md", "outside/c.md", "notes/kept.orig")
    notes = tmp_path / "notes"
    for name, target in {
        "0-again.md": "a.md",
        "out.md": "../outside/c.md",
        "folder": "../outside",
        "loop": ".",
        "secret.md": ".secret/b.md",
        "gone.md": "nowhere.md",
        "current.md": "kept.orig",
    }.items():
        (notes / name).symlink_to(target)
    assert [path.name for path in find_files(notes)] == ["a.md", "current.md"]


@pytest.mark.parametrize("name", ["photo.png", "noext"])
def test_an_unknown_suffix_named_directly_is_refused_with_the_known_ones(tmp_path, name):
    plant(tmp_path, name)
    with pytest.raises(UnreadableFileError, match=name) as caught:
        find_files(tmp_path / name)
    assert all(suffix in caught.value.next_step for suffix in SUFFIXES)
    with pytest.raises(UnreadableFileError, match=name):
        read_file(tmp_path / name, root=tmp_path, settings=Settings())


def test_a_missing_path_and_an_empty_folder_are_refused(tmp_path):
    with pytest.raises(UnreadableFileError, match="nowhere does not exist") as caught:
        find_files(tmp_path / "nowhere")
    assert caught.value.next_step
    plant(tmp_path, "photo.png")
    with pytest.raises(UnreadableFileError, match="nothing that can be read"):
        find_files(tmp_path)


def test_a_folder_that_cannot_be_listed_is_not_skipped_in_silence(tmp_path, monkeypatch):
    plant(tmp_path, "a.md", "locked/b.md")
    scandir = os.scandir

    def refuse(path):
        if Path(path).name == "locked":
            raise PermissionError(13, "Permission denied", str(path))
        return scandir(path)

    monkeypatch.setattr(os, "scandir", refuse)
    with pytest.raises(UnreadableFileError, match="locked cannot be listed: Permission denied"):
        find_files(tmp_path)


def test_the_source_starts_at_the_name_of_what_was_ingested(tmp_path, monkeypatch):
    plant(tmp_path, "notes/sub/a.md")
    notes, path = tmp_path / "notes", tmp_path / "notes/sub/a.md"

    def source(path: Path, root: Path) -> str:
        return read_file(path, root=root, settings=Settings()).source

    assert source(path, notes) == "file:notes/sub/a.md"
    assert source(path, path) == "file:a.md"
    monkeypatch.chdir(notes)
    assert source(find_files(".")[0], Path()) == "file:notes/sub/a.md"
    assert source(Path("sub/a.md"), Path("../notes")) == "file:notes/sub/a.md"
    with pytest.raises(InputError, match="is not in"):
        source(path, tmp_path / "other")


def test_the_source_is_the_same_however_the_file_system_spells_accents(tmp_path):
    plant(tmp_path, "cafe\u0301.md")
    assert read_file(tmp_path / "cafe\u0301.md", root=tmp_path, settings=Settings()).source.endswith("/caf\u00e9.md")


# --- text and Markdown ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("codec", ["utf-8", "utf-8-sig", "utf-16", "utf-32"])
def test_text_in_utf8_or_with_a_byte_order_mark(tmp_path, codec):
    [message] = read(tmp_path / "2024-05-01_trip-to-rome.txt", "Grüße, 世界".encode(codec))
    assert message == {
        "role": "document",
        "title": "2024-05-01 trip to rome",
        "content": "Grüße, 世界",
        "meta": {"file": "2024-05-01_trip-to-rome.txt", "part": 1, "parts": 1},
    }


@pytest.mark.parametrize(
    ("data", "what"),
    [
        ("Grüße".encode("latin-1"), "not UTF-8 text: it breaks at byte 2"),
        (b"\xff\xfea", "not UTF-16"),
        (b"a\0b", "NUL"),
    ],
)
def test_other_bytes_are_refused(tmp_path, data, what):
    with pytest.raises(UnreadableFileError, match=what) as caught:
        read(tmp_path / "a.txt", data)
    assert "a.txt" in caught.value.what
    assert "UTF-8" in caught.value.next_step


def test_a_file_over_the_limit_is_refused(tmp_path):
    assert read(tmp_path / "a.txt", b"x" * 10, max_file=10)
    with pytest.raises(InputTooLargeError, match=r"a\.txt is larger than 10 bytes"):
        read(tmp_path / "a.txt", b"x" * 11, max_file=10)


def test_an_empty_file_has_no_messages(tmp_path):
    assert read(tmp_path / "a.txt", b"") == []


def test_a_folder_with_the_suffix_of_a_file_is_refused(tmp_path):
    (tmp_path / "a.txt").mkdir()
    with pytest.raises(UnreadableFileError, match=r"a\.txt cannot be opened"):
        read_file(tmp_path / "a.txt", root=tmp_path, settings=Settings())


# --- PDF --------------------------------------------------------------------------------------------------------------


def pdf(*pages: str, title: str = "", trailer: bytes = b"") -> bytes:
    """A PDF file, written by hand; lines of a page are separated by newlines."""
    info, font, tree = 1, 2, 3
    kids = b" ".join(b"%d 0 R" % (5 + 2 * at) for at in range(len(pages)))
    objects = {
        info: b"<< /Title (%s) >>" % title.encode(),
        font: b"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>",
        tree: b"<< /Type /Pages /Kids [%s] /Count %d >>" % (kids, len(pages)),
        4: b"<< /Type /Catalog /Pages 3 0 R >>",
    }
    for at, page in enumerate(pages):
        drawn = b" ".join(b"(%s) Tj 0 -14 Td" % line.encode("latin-1") for line in page.split("\n"))
        stream = b"BT /F1 12 Tf 20 400 Td %s ET" % drawn
        objects[5 + 2 * at] = (
            b"<< /Type /Page /Parent 3 0 R /MediaBox [0 0 300 420] /Contents %d 0 R "
            b"/Resources << /Font << /F1 2 0 R >> >> >>" % (6 + 2 * at)
        )
        objects[6 + 2 * at] = b"<< /Length %d >>\nstream\n%s\nendstream" % (len(stream), stream)
    out = b"%PDF-1.4\n"
    places: list[int] = []
    for number, body in sorted(objects.items()):
        places.append(len(out))
        out += b"%d 0 obj\n%s\nendobj\n" % (number, body)
    table = b"".join(b"%010d 00000 n \n" % place for place in places)
    head = b"xref\n0 %d\n0000000000 65535 f \n%s" % (len(places) + 1, table)
    tail = b"trailer\n<< /Size %d /Root 4 0 R /Info 1 0 R %s >>\n" % (len(places) + 1, trailer)
    return out + head + tail + b"startxref\n%d\n%%%%EOF\n" % len(out)


@needs_pypdf
def test_pdf_text_and_title(tmp_path):
    data = pdf("The first page of an exam-\nple, and well-\nKnown.", "The second page.", title="On pages")
    [message] = read(tmp_path / "a.pdf", data)
    assert message["title"] == "On pages"
    assert message["content"] == "The first page of an example, and well-\nKnown.\n\nThe second page."


@needs_pypdf
def test_pdf_without_a_title_is_named_by_its_file_and_without_text_is_empty(tmp_path):
    assert read(tmp_path / "my_scan.pdf", pdf("Hi."))[0]["title"] == "my scan"
    assert read(tmp_path / "my_scan.pdf", pdf("")) == []


@needs_pypdf
@pytest.mark.parametrize("data", [b"", b"not a pdf", pdf("Hi.")[:-400], pdf("Hi.").replace(b"/Pages", b"/Paces")])
@pytest.mark.filterwarnings("default")
def test_a_damaged_pdf_is_refused(tmp_path, data):
    with pytest.raises(UnreadableFileError, match=r"a\.pdf is not a PDF file that can be read") as caught:
        read(tmp_path / "a.pdf", data)
    assert caught.value.next_step


@needs_pypdf
def test_a_pdf_with_a_password_is_refused_and_one_without_opens(tmp_path):
    import pypdf

    def locked(password: str) -> bytes:
        writer = pypdf.PdfWriter(clone_from=io.BytesIO(pdf("Secret.")))
        writer.encrypt(password, "owner", algorithm="RC4-128")
        writer.write(out := io.BytesIO())
        return out.getvalue()

    with pytest.raises(UnreadableFileError, match=r"a\.pdf is an encrypted PDF") as caught:
        read(tmp_path / "a.pdf", locked("pass"))
    assert "without a password" in caught.value.next_step
    assert read(tmp_path / "a.pdf", locked(""))[0]["content"] == "Secret."


@needs_pypdf
def test_a_pdf_with_too_much_text_is_refused(tmp_path):
    """Pages may share one content stream, so a small file can hold any amount."""
    data = pdf("x" * 200).replace(b"/Kids [5 0 R] /Count 1", b"/Kids [" + b"5 0 R " * 50 + b"] /Count 50")
    with pytest.raises(InputTooLargeError, match="characters of text"):
        read(tmp_path / "a.pdf", data, max_file=5000)


# --- Word -------------------------------------------------------------------------------------------------------------


def word() -> Any:
    import docx

    return docx.Document()


def saved(document: Any) -> bytes:
    document.save(out := io.BytesIO())
    return out.getvalue()


def repacked(data: bytes, change: dict[str, tuple[str, str]]) -> bytes:
    """The archive again, with one text replaced in some members."""
    out = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(data)) as old, zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as new:
        for name in old.namelist():
            before, after = change.get(name, ("", ""))
            text = old.read(name)
            new.writestr(name, text.replace(before.encode(), after.encode()) if before else text)
    return out.getvalue()


@needs_docx
def test_word_headings_lists_and_tables(tmp_path):
    document = word()
    document.add_heading("The report", 0)
    document.add_paragraph("Intro.")
    document.add_heading("Part", 1)
    document.add_paragraph("Some text.")
    document.add_paragraph("one", style="List Bullet")
    document.add_paragraph("two", style="List Bullet")
    table = document.add_table(2, 2)
    for cell, text in zip([*table.rows[0].cells, *table.rows[1].cells], ["Name", "Age", "Ada", "36"], strict=True):
        cell.text = text
    inner = table.cell(1, 1).add_table(1, 2)
    inner.cell(0, 0).text, inner.cell(0, 1).text = "x", "y"
    messages = read(tmp_path / "a.docx", saved(document))
    assert {message["title"] for message in messages} == {"The report"}
    assert contents(messages) == [
        ("The report", "Intro."),
        ("The report > Part", "Some text.\n\n- one\n- two\n\nName | Age\nAda | 36 x | y"),
    ]


@needs_docx
def test_word_text_in_content_controls_tracked_changes_and_boxes(tmp_path):
    document = word()
    document.core_properties.title = "Named\n once"
    for text in ("plain", "control", "inserted", "deleted", "moved", "boxed"):
        document.add_paragraph(text)
    wrap = {
        "control": "<w:sdt><w:sdtContent><w:p><w:r><w:t>control</w:t></w:r></w:p></w:sdtContent></w:sdt>",
        "inserted": '<w:p><w:ins w:id="1" w:author="a"><w:r><w:t>inserted</w:t></w:r></w:ins></w:p>',
        "deleted": '<w:p><w:r><w:t>be</w:t></w:r><w:del w:id="2" w:author="a"><w:r><w:br/><w:delText>deleted</w:delText></w:r></w:del>'
        "<w:r><w:t>fore</w:t></w:r></w:p>",
        "moved": '<w:p><w:moveFrom w:id="3" w:author="a"><w:r><w:t>moved</w:t></w:r></w:moveFrom></w:p>',
        "boxed": '<w:p><mc:AlternateContent xmlns:mc="http://schemas.openxmlformats.org/markup-compatibility/2006">'
        "<mc:Choice><w:txbxContent><w:p><w:r><w:t>boxed</w:t></w:r></w:p></w:txbxContent></mc:Choice>"
        "<mc:Fallback><w:txbxContent><w:p><w:r><w:t>boxed</w:t></w:r></w:p></w:txbxContent></mc:Fallback>"
        "</mc:AlternateContent></w:p>",
    }
    data = saved(document)
    for text, xml in wrap.items():
        data = repacked(data, {"word/document.xml": (f"<w:p><w:r><w:t>{text}</w:t></w:r></w:p>", xml)})
    [message] = read(tmp_path / "a.docx", data)
    assert (message["title"], message["content"]) == ("Named once", "plain\n\ncontrol\n\ninserted\n\nbefore\n\nboxed")


@needs_docx
def test_word_styles_made_from_headings_are_headings(tmp_path):
    document = word()
    style = document.styles.add_style("Chapter", 1)
    style.base_style = document.styles["Heading 1"]
    document.add_paragraph("One", style="Chapter")
    document.add_paragraph("Body.")
    assert contents(read(tmp_path / "a.docx", saved(document))) == [("One", "Body.")]


@needs_docx
@pytest.mark.parametrize(
    "change",
    [
        {"[Content_Types].xml": ("document.main+xml", "template.main+xml")},
        {"[Content_Types].xml": ("<Types", "<Tipes")},
        {"word/document.xml": ("</w:body>", "")},
        {"_rels/.rels": ("officeDocument", "nothing")},
        {"word/styles.xml": ('<w:name w:val="Normal"/>', "<w:name/>")},
    ],
)
def test_a_damaged_word_file_is_refused(tmp_path, change):
    with pytest.raises(UnreadableFileError, match=r"a\.docx is not a Word file that can be read") as caught:
        read(tmp_path / "a.docx", repacked(saved(word()), change))
    assert caught.value.next_step


@needs_docx
@pytest.mark.parametrize(
    ("data", "what"),
    [(b"", "not a Word file"), (b"PK\3\4 broken", "not a Word file"), (b"\xd0\xcf\x11\xe0 old", "has a password")],
)
def test_what_is_no_archive_is_refused(tmp_path, data, what):
    with pytest.raises(UnreadableFileError, match=what):
        read(tmp_path / "a.docx", data)


@needs_docx
def test_an_archive_that_unpacks_to_too_much_is_refused_before_it_is(tmp_path):
    document = word()
    document.add_paragraph("x" * 2_000_000)
    data = saved(document)
    assert len(data) < 100_000
    with pytest.raises(InputTooLargeError, match="would unpack to"):
        read(tmp_path / "a.docx", data, max_file=100_000)


@needs_docx
def test_entities_in_a_word_file_are_not_expanded(tmp_path):
    document = word()
    document.add_paragraph("before")
    bomb = '<!DOCTYPE x [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;">]>\n<w:document '
    data = repacked(saved(document), {"word/document.xml": ("<w:document ", bomb)})
    data = repacked(data, {"word/document.xml": ("before", "before&b;")})
    assert not any("aaa" in message["content"] for message in read(tmp_path / "a.docx", data))


# --- the extra --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("name", "module"), [("a.pdf", "pypdf"), ("a.docx", "docx")])
def test_without_the_extra_the_error_names_it(tmp_path, monkeypatch, name, module):
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(MissingExtraError) as caught:
        read(tmp_path / name, b"x")
    assert "remanence[files]" in caught.value.next_step
