//! A filter as text that reads as the same filter: how tests see what was understood.

use std::fmt::{Display, Formatter, Result, Write as _};

use super::{Filter, Node, Operator};

impl Display for Filter {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        self.root.iter().try_for_each(|root| all(root, f))
    }
}

/// What the parser makes of a whole text or of what stands in parentheses: ANDs of ORs.
fn all(node: &Node, f: &mut Formatter<'_>) -> Result {
    let Node::All(nodes) = node else {
        return term(node, f);
    };
    joined(nodes, " AND ", f, |node, f| match node {
        Node::Any(nodes) => joined(nodes, " OR ", f, term),
        node => term(node, f),
    })
}

fn joined(
    nodes: &[Node],
    word: &str,
    f: &mut Formatter<'_>,
    each: impl Fn(&Node, &mut Formatter<'_>) -> Result,
) -> Result {
    for (row, node) in nodes.iter().enumerate() {
        if row > 0 {
            f.write_str(word)?;
        }
        each(node, f)?;
    }
    Ok(())
}

fn term(node: &Node, f: &mut Formatter<'_>) -> Result {
    match node {
        Node::All(_) | Node::Any(_) => {
            f.write_char('(')?;
            all(node, f)?;
            f.write_char(')')
        }
        Node::Not(node) => {
            f.write_str("NOT ")?;
            term(node, f)
        }
        Node::Compare {
            path,
            operator,
            value,
        } => {
            write!(f, "{path} {} \"", sign(*operator))?;
            for c in value.chars() {
                if matches!(c, '"' | '\\') {
                    f.write_char('\\')?;
                }
                f.write_char(c)?;
            }
            f.write_char('"')
        }
    }
}

fn sign(operator: Operator) -> &'static str {
    match operator {
        Operator::Equal => "=",
        Operator::NotEqual => "!=",
        Operator::Less => "<",
        Operator::LessOrEqual => "<=",
        Operator::Greater => ">",
        Operator::GreaterOrEqual => ">=",
        Operator::Has => ":",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_printed_reads_as_the_same_filter() {
        for (text, printed) in [
            ("", ""),
            ("id=a", "id = \"a\""),
            (
                "-id:'say \"hi\\\\\"' OR id<=b AND (id!=c OR NOT (id>d))",
                "NOT id : \"say \\\"hi\\\\\\\"\" OR id <= \"b\" AND (id != \"c\" OR NOT (id > \"d\"))",
            ),
        ] {
            let filter = Filter::parse("filter", text, &["id"]).unwrap();
            assert_eq!(filter.to_string(), printed);
            assert_eq!(Filter::parse("filter", printed, &["id"]), Ok(filter));
        }
    }
}
