//! A page's blocks: commands, and what they print.
//!
//! A `text` block is the standard output of the `sh` block before it; standard error, where a
//! terminal shows bars, is not compared. A `sh` block without one prints nothing. A line `...`
//! stands for any lines, `…` within a line for any characters; blanks at the ends of lines, and how
//! many stand together, do not matter. In a block `text with other numbers` a number, with its unit
//! if it has one, stands for any other, or for `-`, and bars do not matter. All else has to be as
//! it is shown. A block `sql` is what `riskstream query` answers, and prints anything where no
//! `text` follows.

/// A block of commands and what it prints.
#[derive(Debug, PartialEq)]
pub(super) struct Block {
    /// Its line in the page.
    pub(super) line: usize,
    pub(super) commands: String,
    pub(super) prints: String,
    /// Whether it prints other numbers each time.
    pub(super) varies: bool,
}

/// The blocks of a page. Blocks of the languages `elsewhere` are passed over.
pub(super) fn blocks(page: &str, elsewhere: &[&str]) -> Vec<Block> {
    let mut blocks: Vec<Block> = Vec::new();
    let mut lines = page.lines().enumerate();
    let mut is_answered = true;
    while let Some((number, line)) = lines.next() {
        let Some(language) = line.strip_prefix("```") else { continue };
        let body: String = lines
            .by_ref()
            .map(|(_, line)| line)
            .take_while(|line| *line != "```")
            .flat_map(|line| [line, "\n"])
            .collect();
        match (language, blocks.last_mut()) {
            ("sh", _) => {
                let prints = String::new();
                blocks.push(Block { line: number + 1, commands: body, prints, varies: false });
                is_answered = false;
            }
            ("sql", _) => {
                let commands = format!("riskstream query <<'SQL'\n{body}SQL\n");
                let prints = "...\n".to_owned();
                blocks.push(Block { line: number + 1, commands, prints, varies: false });
                is_answered = false;
            }
            ("text" | "text with other numbers", Some(block)) if !is_answered => {
                (block.prints, block.varies) = (body, language != "text");
                is_answered = true;
            }
            _ if elsewhere.contains(&language) => {}
            _ => panic!("line {}: a block of `{language}` that nothing is known of", number + 1),
        }
    }
    blocks
}

/// Whether a line is as shown, but for its blanks.
fn is_line(shown: &str, line: &str) -> bool {
    let calm = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
    let (shown, line) = (calm(shown), calm(line));
    let mut pieces: Vec<&str> = shown.split('…').collect();
    let first = pieces.remove(0);
    let Some(mut rest) = line.strip_prefix(first) else { return false };
    let Some(last) = pieces.pop() else { return rest.is_empty() };
    for piece in pieces {
        let Some(at) = rest.find(piece) else { return false };
        rest = &rest[at + piece.len()..];
    }
    rest.ends_with(last)
}

/// Whether lines are as shown.
fn are_lines(shown: &[&str], lines: &[&str]) -> bool {
    match shown {
        [] => lines.is_empty(),
        ["...", shown @ ..] => (0..=lines.len()).any(|skipped| are_lines(shown, &lines[skipped..])),
        [first, shown @ ..] => match lines {
            [] => false,
            [line, lines @ ..] => is_line(first, line) && are_lines(shown, lines),
        },
    }
}

/// A text in which all numbers are one and the same, and no bars are.
fn without_numbers(text: &str) -> String {
    const UNITS: [&str; 10] = ["%", "ms", "s", "min", "h", "days", "B", "KiB", "MiB", "GiB"];
    let is_number = |word: &str| word == "-" || word.starts_with(|c: char| c.is_ascii_digit());
    let is_bar = |word: &str| word.chars().all(|c| ('▁'..='█').contains(&c));
    let calm = |line: &str| {
        let mut words: Vec<&str> = Vec::new();
        for word in line.split_whitespace().filter(|word| !is_bar(word)) {
            let bare = word.trim_end_matches(',');
            let is_unit = words.last() == Some(&"0") && UNITS.contains(&bare);
            if !is_unit {
                words.push(if is_number(word) { "0" } else { word });
            }
        }
        words.join(" ") + "\n"
    };
    text.lines().map(calm).collect()
}

/// Whether a text is what a block shows.
pub(super) fn is_as_shown(shown: &str, printed: &str, varies: bool) -> bool {
    if varies {
        return is_as_shown(&without_numbers(shown), &without_numbers(printed), false);
    }
    are_lines(&shown.lines().collect::<Vec<_>>(), &printed.lines().collect::<Vec<_>>())
}

#[test]
fn outputs_are_compared_by_the_rule_of_the_page() {
    for (shown, printed, is_same) in [
        ("", "", true),
        ("", "a\n", false),
        ("a\n", "", false),
        ("a  b\n", "a b  \n", true),
        ("a b\n", "ab\n", false),
        ("a\nb\n", "a\n", false),
        ("a\n", "a\nb\n", false),
        ("a\n...\n", "a\n", true),
        ("a\n...\n", "a\nb\nc\n", true),
        ("...\nc\n", "a\nb\nc\n", true),
        ("...\nc\n", "a\nb\nd\n", false),
        ("a\n...\nb\n...\n", "a\nx\nb\ny\n", true),
        ("a\n...\nb\n...\n", "a\nx\nc\ny\n", false),
        ("1 row in … s\n", "1 row in 0.25 s\n", true),
        ("1 row in … s\n", "2 rows in 0.25 s\n", false),
        ("1 row in … s\n", "1 row in 0.25 s and more\n", false),
        ("…b…\n", "abc\n", true),
        ("…b…\n", "acd\n", false),
        ("aba…\n", "ab\n", false),
        ("a…b…b\n", "a b\n", false),
        ("+--+…+\n", "+--+-----+\n", true),
    ] {
        assert_eq!(is_as_shown(shown, printed, false), is_same, "{shown:?} {printed:?}");
    }
    for (shown, printed, is_same) in [
        ("a 1 2.5 s, at most 3 h", "a 17 - , at most 120 days", false),
        ("a 1 2.5 s, at most 3 h", "a 17 0 ms, at most 120 days", true),
        ("card 18 3 % ██ 2.2 KiB 0", "card 1,812 97 % ██████ - 3", true),
        ("card 18 3 % ██ 2.2 KiB 0", "card 18 3 % ██ 2.2 KiB", false),
        ("card 18", "shop 18", false),
        ("up 2024-05-01T10:00:00Z", "up 2026-01-01T00:00:00.5Z", true),
        ("runs 1", "waits 1", false),
        ("rows ▁▂ █ last 1", "rows █ last 2", true),
        ("a 1\n...\nb 1", "a 2\nx\nb 3", true),
        ("a 1\n...\nb 1", "a 2\nx\nc 3", false),
    ] {
        assert_eq!(is_as_shown(shown, printed, true), is_same, "{shown:?} {printed:?}");
    }
}

#[test]
fn blocks_are_commands_and_what_they_print() {
    let page = "# Title\n```sh\na\nb\n```\ntext\n```text\nc\n```\n```sh\nd\n```\n\
                ```sh\ne\n```\n```text with other numbers\n1\n```\n\
                ```python\nf\n```\n```sql\ng;\n```\n";
    let block = |line, commands: &str, prints: &str, varies| Block {
        line,
        commands: commands.into(),
        prints: prints.into(),
        varies,
    };
    assert_eq!(
        blocks(page, &["python"]),
        [
            block(2, "a\nb\n", "c\n", false),
            block(10, "d\n", "", false),
            block(13, "e\n", "1\n", true),
            block(22, "riskstream query <<'SQL'\ng;\nSQL\n", "...\n", false)
        ]
    );
}
