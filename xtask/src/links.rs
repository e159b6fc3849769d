//! Checks links between pages, in the Markdown sources (which are also read without the book) and in the built book.
//! Links to other sites are not checked.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use pulldown_cmark::{Event, Options, Parser, Tag, TagEnd};

/// Folders without pages of this project.
const SKIPPED: [&str; 4] = ["target", "runs", "node_modules", "venv"];

/// Fails with a list of all broken links in the Markdown files below `root`.
pub fn check(root: &Path) -> Result<()> {
    let mut files = Vec::new();
    find(root, "md", &mut files)?;
    ensure!(!files.is_empty(), "there are no pages below {}", root.display());
    let mut faults = Vec::new();
    for file in &files {
        let page = Page::read(file)?;
        for link in &page.links {
            if let Some(why) = fault(file, &page, link)? {
                faults.push(format!("{}: {link}: {why}", file.display()));
            }
        }
    }
    ensure!(faults.is_empty(), "{}", faults.join("\n"));
    Ok(())
}

/// Why a link is broken; `None` if it is not.
fn fault(file: &Path, page: &Page, link: &str) -> Result<Option<String>> {
    if is_elsewhere(link) {
        return Ok(None);
    }
    let (path, anchor) = link.split_once('#').map_or((link, None), |(path, anchor)| (path, Some(anchor)));
    let target = file.parent().unwrap_or(Path::new(".")).join(path);
    if !path.is_empty() && !target.exists() {
        return Ok(Some("there is no such file".to_owned()));
    }
    let Some(anchor) = anchor else { return Ok(None) };
    let has = if path.is_empty() {
        page.anchors.contains(anchor)
    } else if target.extension().is_some_and(|extension| extension == "md") {
        Page::read(&target)?.anchors.contains(anchor)
    } else {
        true
    };
    Ok((!has).then(|| "there is no such heading".to_owned()))
}

/// The links and anchors of a Markdown file.
#[derive(Debug, Default)]
struct Page {
    links: Vec<String>,
    /// The anchors of its headings.
    anchors: BTreeSet<String>,
}

impl Page {
    fn read(path: &Path) -> Result<Self> {
        let text = std::fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
        Ok(Self::parse(&text))
    }

    fn parse(text: &str) -> Self {
        let mut page = Self::default();
        let mut heading: Option<String> = None;
        for event in Parser::new_ext(text, Options::ENABLE_TABLES) {
            match event {
                Event::Start(Tag::Heading { .. }) => heading = Some(String::new()),
                Event::End(TagEnd::Heading(_)) => {
                    let name = anchor(&heading.take().unwrap_or_default());
                    // A repeated heading gets a number: name-1, name-2.
                    let mut unique = name.clone();
                    let mut count = 0;
                    while !page.anchors.insert(unique.clone()) {
                        count += 1;
                        unique = format!("{name}-{count}");
                    }
                }
                Event::Text(text) | Event::Code(text) => {
                    if let Some(heading) = &mut heading {
                        heading.push_str(&text);
                    }
                }
                Event::Start(Tag::Link { dest_url, .. } | Tag::Image { dest_url, .. }) => {
                    page.links.push(dest_url.into_string());
                }
                _ => {}
            }
        }
        page
    }
}

/// The anchor of a heading, as mdBook and code hosting sites derive it.
fn anchor(heading: &str) -> String {
    let kept = |c: char| match c {
        ' ' => Some('-'),
        '-' | '_' => Some(c),
        c if c.is_alphanumeric() => c.to_lowercase().next(),
        _ => None,
    };
    heading.trim().chars().filter_map(kept).collect()
}

/// Fails with a list of all links in a built site that lead to none of its files.
pub fn check_site(folder: &Path) -> Result<()> {
    let mut files = Vec::new();
    find(folder, "html", &mut files)?;
    let mut faults = Vec::new();
    // mdBook's 404 page has links relative to the site's root.
    for file in files.iter().filter(|file| !file.ends_with("404.html")) {
        let text = std::fs::read_to_string(file).with_context(|| format!("cannot read {}", file.display()))?;
        for link in ["href=\"", "src=\""].iter().flat_map(|attribute| text.split(attribute).skip(1)) {
            let link = link.split('"').next().unwrap_or_default();
            let path = link.split(['#', '?']).next().unwrap_or_default();
            if is_elsewhere(link) || path.is_empty() {
                continue;
            }
            let target = file.parent().unwrap_or(folder).join(path);
            if !target.exists() {
                faults.push(format!("{}: {link}: there is no such file in the book", file.display()));
            }
        }
    }
    ensure!(faults.is_empty(), "{}", faults.join("\n"));
    Ok(())
}

fn is_elsewhere(link: &str) -> bool {
    ["http://", "https://", "mailto:", "data:", "javascript:"].iter().any(|scheme| link.starts_with(scheme))
}

fn find(folder: &Path, extension: &str, found: &mut Vec<PathBuf>) -> Result<()> {
    for entry in std::fs::read_dir(folder).with_context(|| format!("cannot read {}", folder.display()))? {
        let path = entry?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        if path.is_dir() {
            if !SKIPPED.contains(&&*name) && !name.starts_with('.') {
                find(&path, extension, found)?;
            }
        } else if path.extension().is_some_and(|found| found == extension) {
            found.push(path);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_that_lead_nowhere_are_named() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("b.md"), "# A *small* `page`, of 2\n## Twice\n## Twice\n").unwrap();
        let good =
            "[1](b.md) [2](b.md#a-small-page-of-2) [3](#here) [4](https://example.org/x) [5](b.md#twice-1)\n# Here\n";
        std::fs::write(folder.path().join("a.md"), good).unwrap();
        check(folder.path()).unwrap();
        let bad = "[1](c.md) ![2](b.png) [3](b.md#b) [4](#there)\n\n    [not a link](d.md)\n";
        std::fs::write(folder.path().join("a.md"), bad).unwrap();
        let error = check(folder.path()).unwrap_err().to_string();
        assert_eq!(error.lines().count(), 4, "{error}");
    }

    #[test]
    fn our_own_pages_lead_somewhere() {
        check(&Path::new(env!("CARGO_MANIFEST_DIR")).join("..")).unwrap();
    }
}
