use super::kind::{Array, Leaf};

/// PostgreSQL's array text as JSON: `{1,NULL,3}` → `[1,null,3]` (PostgreSQL manual, "Arrays", "Array
/// Input and Output Syntax"). Bounds in front (`[0:2]={…}`) have no place in JSON and are left out.
/// None where it is no such text.
pub(super) fn array_as_json(text: &str, of: Array) -> Option<String> {
    let body = match text.strip_prefix('[') {
        Some(bounds) => bounds.split_once('=')?.1,
        None => text,
    };
    let mut reader = Reader { rest: body, of, json: String::with_capacity(body.len() + 16) };
    reader.array()?;
    reader.rest.is_empty().then_some(reader.json)
}

struct Reader<'a> {
    rest: &'a str,
    of: Array,
    json: String,
}

impl Reader<'_> {
    fn next(&mut self, byte: u8) -> bool {
        let is = self.rest.as_bytes().first() == Some(&byte);
        if is {
            self.rest = self.rest.get(1..).unwrap_or_default();
        }
        is
    }

    /// One array with those inside it, without recursion: the depth is the text's to choose.
    fn array(&mut self) -> Option<()> {
        let mut depth = 0_usize;
        loop {
            if self.next(b'{') {
                depth += 1;
                self.json.push('[');
                if !self.next(b'}') {
                    continue;
                }
                depth -= 1;
                self.json.push(']');
            } else {
                self.element(depth)?;
            }
            while depth > 0 && self.next(b'}') {
                depth -= 1;
                self.json.push(']');
            }
            if depth == 0 {
                return Some(());
            }
            if !self.next(self.of.delimiter) {
                return None;
            }
            self.json.push(',');
        }
    }

    fn element(&mut self, depth: usize) -> Option<()> {
        if depth == 0 {
            return None;
        }
        if self.next(b'"') {
            let element = self.quoted()?;
            return self.push(&element);
        }
        let end = |byte: u8| byte == self.of.delimiter || byte == b'}' || byte == b'{';
        let len = self.rest.bytes().position(end)?;
        let (element, rest) = self.rest.split_at_checked(len)?;
        self.rest = rest;
        match element {
            "" => None,
            "NULL" => {
                self.json.push_str("null");
                Some(())
            }
            element => self.push(element),
        }
    }

    /// What is left of a quoted element, without its escapes.
    fn quoted(&mut self) -> Option<String> {
        let mut element = String::new();
        loop {
            let len = self.rest.bytes().position(|byte| byte == b'"' || byte == b'\\')?;
            let (plain, rest) = self.rest.split_at_checked(len)?;
            element.push_str(plain);
            self.rest = rest;
            if self.next(b'"') {
                return Some(element);
            }
            let mut letters = rest.get(1..)?.chars();
            element.push(letters.next()?);
            self.rest = letters.as_str();
        }
    }

    fn push(&mut self, element: &str) -> Option<()> {
        match self.of.leaf {
            Leaf::Integer => self.json.push_str(&element.parse::<i64>().ok()?.to_string()),
            Leaf::Boolean => self.json.push_str(match element {
                "t" => "true",
                "f" => "false",
                _ => return None,
            }),
            Leaf::Text => self.json.push_str(&serde_json::to_string(element).ok()?),
        }
        Some(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn json(text: &str, leaf: Leaf) -> Option<String> {
        array_as_json(text, Array { leaf, delimiter: b',' })
    }

    #[test]
    fn as_postgresql_prints_them() {
        for (text, leaf, expected) in [
            ("{}", Leaf::Text, "[]"),
            ("{1,NULL,-3}", Leaf::Integer, "[1,null,-3]"),
            ("{t,f,NULL}", Leaf::Boolean, "[true,false,null]"),
            ("{{1,2},{3,4}}", Leaf::Integer, "[[1,2],[3,4]]"),
            ("[0:1]={1,2}", Leaf::Integer, "[1,2]"),
            ("[1:1][-2:-1]={{1,2}}", Leaf::Integer, "[[1,2]]"),
            (
                r#"{"",NULL,"NULL","a b","c\"d\\e"}"#,
                Leaf::Text,
                r#"["",null,"NULL","a b","c\"d\\e"]"#,
            ),
            ("{1.50,NaN}", Leaf::Text, r#"["1.50","NaN"]"#),
            ("{\"\\\\x00ff\"}", Leaf::Text, r#"["\\x00ff"]"#),
            ("{ä,\"{ö}\"}", Leaf::Text, r#"["ä","{ö}"]"#),
        ] {
            assert_eq!(json(text, leaf).as_deref(), Some(expected), "{text}");
        }
        let boxes = Array { leaf: Leaf::Text, delimiter: b';' };
        assert_eq!(
            array_as_json("{(1,1),(0,0);(2,2),(1,1)}", boxes).as_deref(),
            Some(r#"["(1,1),(0,0)","(2,2),(1,1)"]"#)
        );
    }

    #[test]
    fn other_texts_are_none() {
        for text in ["", "1", "{", "{1", "{1}}", "{1}x", "{,}", "{1,}", "{\"a}", "{1{2}}", "[0:1]"]
        {
            assert_eq!(json(text, Leaf::Text), None, "{text}");
        }
        assert_eq!(json("{a}", Leaf::Integer), None);
        assert_eq!(json("{true}", Leaf::Boolean), None);
    }
}
