//! The server's log: one line per event on stderr, `key=value` as most collectors read it. Never a line per request.

use std::fmt::{self, Write as _};

use crate::{clock, output, text};

pub(crate) type Fields<'f> = [(&'f str, &'f dyn fmt::Display)];

pub(crate) fn info(message: &str, fields: &Fields<'_>) {
    write("info", message, fields);
}

pub(crate) fn warn(message: &str, fields: &Fields<'_>) {
    write("warn", message, fields);
}

pub(crate) fn error(message: &str, fields: &Fields<'_>) {
    write("error", message, fields);
}

fn write(level: &str, message: &str, fields: &Fields<'_>) {
    output::note(line(&text::time(clock::unix_us()), level, message, fields));
}

fn line(time: &str, level: &str, message: &str, fields: &Fields<'_>) -> String {
    let mut line = format!("time={time} level={level} message=");
    push(&mut line, message);
    for (name, value) in fields {
        let _infallible = write!(line, " {name}=");
        push(&mut line, &value.to_string());
    }
    line
}

/// Quoted only where it must be, so that most values can be searched for as they are.
fn push(line: &mut String, value: &str) {
    if !value.is_empty() && value.bytes().all(|byte| byte.is_ascii_graphic() && !b"\"=".contains(&byte)) {
        line.push_str(value);
        return;
    }
    line.push('"');
    for character in value.chars() {
        match character {
            '"' | '\\' => line.extend(['\\', character]),
            '\n' => line.push_str("\\n"),
            _ if character.is_control() => line.push('\u{fffd}'),
            _ => line.push(character),
        }
    }
    line.push('"');
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_one_line_whatever_is_in_it() {
        let line = line("T", "info", "two words", &[("file", &"/a/b"), ("why", &"say \"no\"\nand go"), ("n", &7)]);
        assert_eq!(line, r#"time=T level=info message="two words" file=/a/b why="say \"no\"\nand go" n=7"#);
    }
}
