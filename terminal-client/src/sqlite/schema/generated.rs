use super::names::quote;

/// The expression of a generated column in SQLite, where it certainly means the same there: whole
/// numbers, columns of whole numbers, and `+ - * / %`. What SQLite might compute another way (text
/// functions, numerics, dates) is none. What PostgreSQL cannot compute (a division by zero, a number
/// that is too large) is in no row.
pub(in super::super) fn same_in_sqlite(
    expression: &str,
    is_integer: impl Fn(&str) -> bool,
) -> Option<String> {
    let mut out = String::with_capacity(expression.len() + 8);
    let mut rest = expression.trim();
    let mut open = 0_usize;
    let mut operand_next = true;
    while let Some(first) = rest.chars().next() {
        let (token, behind) = token(rest, first)?;
        match first {
            '(' if operand_next => open += 1,
            ')' if !operand_next => open = open.checked_sub(1)?,
            '+' | '-' | '*' | '/' | '%' if !operand_next => operand_next = true,
            '0'..='9' if operand_next => {
                // Longer ones are numerics to PostgreSQL.
                token.parse::<i32>().ok()?;
                operand_next = false;
            }
            _ if operand_next => {
                let name = name_of(token);
                if !is_integer(&name) {
                    return None;
                }
                out.push_str(&quote(&name));
                operand_next = false;
                rest = behind;
                continue;
            }
            _ => return None,
        }
        if matches!(first, '(' | ')' | '0'..='9') {
            out.push_str(token);
        } else {
            out.push(' ');
            out.push_str(token);
            out.push(' ');
        }
        rest = behind;
    }
    (open == 0 && !operand_next).then_some(out)
}

/// The token that `text` begins with, and what is behind it and the spaces there.
fn token(text: &str, first: char) -> Option<(&str, &str)> {
    let word = |letter: char| letter.is_alphanumeric() || letter == '_' || letter == '$';
    let len = match first {
        '"' => quoted_len(text)?,
        letter if word(letter) => text.find(|letter| !word(letter)).unwrap_or(text.len()),
        letter => letter.len_utf8(),
    };
    let (token, behind) = text.split_at_checked(len)?;
    Some((token, behind.trim_start()))
}

/// The length of the quoted name that `text` begins with; a quote inside is written twice.
fn quoted_len(text: &str) -> Option<usize> {
    let mut at = 1;
    loop {
        at += text.get(at..)?.find('"')? + 1;
        if !text.get(at..)?.starts_with('"') {
            return Some(at);
        }
        at += 1;
    }
}

fn name_of(token: &str) -> String {
    match token.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')) {
        Some(inner) => inner.replace("\"\"", "\""),
        None => token.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_arithmetic_of_whole_numbers() {
        let integer = |name: &str| matches!(name, "a" | "B \"x\"" | "ä_1");
        for (expression, expected) in [
            ("(a * 2)", Some("(\"a\" * 2)")),
            ("((a + \"B \"\"x\"\"\") % ä_1)", Some("((\"a\" + \"B \"\"x\"\"\") % \"ä_1\")")),
            ("a", Some("\"a\"")),
            ("(a * c)", None),
            ("(a)::bigint", None),
            ("(a * '-1'::integer)", None),
            ("(a * 1.5)", None),
            ("(a * 3000000000)", None),
            ("abs(a)", None),
            ("(a || a)", None),
            ("(a > 2)", None),
            ("(a * 2", None),
            ("(a *)", None),
            ("a a", None),
            ("a)", None),
            ("(- a)", None),
            ("\"a", None),
            ("", None),
        ] {
            assert_eq!(same_in_sqlite(expression, integer).as_deref(), expected, "{expression}");
        }
    }
}
