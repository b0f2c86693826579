"""Patterns in gitignore syntax, in any case, for names of any bytes."""

import os

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from syncd.config.gitignore import directory, plain, spec
from syncd.watch.patterns import Patterns, _matcher

JPG = Patterns(include=["*.jpg"], exclude=[])

_bytes = st.binary(min_size=1, max_size=40).filter(lambda name: b"/" not in name and b"\0" not in name)
_names = st.one_of(
    _bytes.map(lambda name: name.decode("utf-8", "surrogateescape")),
    st.text(st.sampled_from("aA.~#!* \n\r\t\\jpgJPGß\udcff"), min_size=1, max_size=8),
).filter(lambda name: name not in (".", "..") and os.sep not in name)
_images = st.builds(lambda stem, suffix: stem + suffix, _names, st.sampled_from([".jpg", ".JPG", ".jPg", ".jpg\n", ""]))


def is_junk(name: str) -> bool:
    low = name.casefold()
    ends = ("~", ".part", ".partial", ".filepart", ".crdownload", ".download", ".tmp")
    names = ("thumbs.db", "desktop.ini")
    return low.startswith((".", "~", "synofile_thumb")) or low.endswith(ends) or low in names


@given(_images)
def test_matches_judges_name_by_extension(name):
    assert JPG.matches(name) == (name.casefold().endswith(".jpg") and not is_junk(name))


@given(_names, _images)
def test_matches_judges_folders_of_the_path(folder, name):
    inside = name.casefold().endswith(".jpg") or folder.casefold().endswith(".jpg")
    assert JPG.matches(f"{folder}/{name}") == (inside and not is_junk(name) and not is_junk(folder))


_patterns = st.sampled_from(
    [
        "*.jpg",
        "/a/*.jpg",
        "a/",
        "/b/",
        "a/**/b",
        "**/x.png",
        "A?.*",
        "[!a]*.gif",
        "[(?P<ps_d>].jpg",
        "!a.jpg",
        "!b/",
        "# note",
        "",
        "a b/",
        "a/**",
    ]
)
_paths = st.lists(
    st.one_of(_images, st.sampled_from(["a", "b", "ab", "a b", "a.jpg", "x.png", "d.jpg", "(.jpg", "x.gif"])),
    min_size=1,
    max_size=4,
).map("/".join)


@given(st.lists(_patterns, min_size=1, max_size=6), _paths, st.booleans())
def test_matches_equals_pathspec(lines, path, directory):
    path = plain(f"{path}/" if directory else path)
    assert bool(_matcher(spec(lines))(path)) == spec(lines).match_file(path)


@pytest.mark.parametrize(
    "path",
    [
        ".hidden.jpg",
        ".thumbnails/a.jpg",
        "a/.cache/b/c.jpg",
        "a.jpg.part",
        "~lock.jpg",
        "a.jpg~",
        "@eaDir/a.jpg",
        "x/@EADIR/a.jpg/SYNOFILE_THUMB_M.jpg",
        "SYNOFILE_THUMB_XL.jpg",
        "#recycle/a.jpg",
        "@Recycle/a.jpg",
        "$RECYCLE.BIN/a.jpg",
        "System Volume Information/a.jpg",
        "lost+found/a.jpg",
        ".syncd/a.jpg",
    ],
)
def test_default_excludes_do_not_match(path):
    assert not JPG.matches(path)


@pytest.mark.parametrize("name", ["#recycle.jpg", "!a.jpg", "#1.jpg", " a.jpg", "a .jpg", "-.jpg", "recycle/a.jpg"])
def test_names_similar_to_default_excludes_match(name):
    assert JPG.matches(name)


def test_longest_name_matches():
    assert JPG.matches("ä" * 125 + "a.jpg")


def test_user_excludes_extend_and_negate_defaults():
    patterns = Patterns(include=["*.JPG"], exclude=["!.keep", "Private/", "*.raw.jpg"])
    assert patterns.matches(".keep/a.jpg")
    assert not patterns.matches("private/a.jpg")
    assert not patterns.matches("a.RAW.jpg")
    assert not patterns.matches(".other/a.jpg")


def test_negation_below_excluded_folder_has_no_effect():
    patterns = Patterns(include=["*.jpg"], exclude=["private/", "!keep.jpg"])
    assert not patterns.descends_into("private/sub")
    assert not patterns.matches("private/sub/keep.jpg")


def test_include_with_folders_matches_below_them():
    patterns = Patterns(include=["photos/**/*.png", "/top.png"], exclude=[])
    assert patterns.matches("photos/2024/a.png")
    assert patterns.matches("top.png")
    assert not patterns.matches("other/a.png")
    assert not patterns.matches("photos/top.jpg")


@given(_names)
@example("[a]*?\\b")
@example("!a ")
def test_escaped_directory_is_excluded(name):
    patterns = Patterns(include=["*"], exclude=[directory(f"a/{name}")])
    assert not patterns.matches(f"a/{name}/b.jpg")
    assert patterns.matches(f"b/{name}/b.jpg") == (not is_junk(name))
    assert patterns.matches(f"a/{name}x/b.jpg") == (not is_junk(f"{name}x"))


@pytest.mark.parametrize("name", ["clip.mp4", "a/b/CLIP.MOV", "raw/c.jpg", "notes.pdf"])
def test_leaves_out_files_of_other_types(name):
    assert Patterns(include=["*.jpg"], exclude=["raw/"]).leaves_out(name)


@pytest.mark.parametrize("name", ["a.jpg", ".hidden.mp4", ".git/a.mp4", "a.part", "Thumbs.db", "@eaDir/a.mp4"])
def test_leaves_out_no_matching_or_system_file(name):
    assert not JPG.leaves_out(name)
