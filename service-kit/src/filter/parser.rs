//! Tokens to a tree: AND of ORs, as AIP-160 has it.

use super::{MAX_DEPTH, Node, Operator, lexer::Token};

/// The tree of a filter over `fields`, or what is wrong with it.
pub(super) fn parse(tokens: &[Token], fields: &[&str]) -> Result<Option<Node>, String> {
    if tokens.is_empty() {
        return Ok(None);
    }
    let mut parser = Parser {
        tokens,
        at: 0,
        fields,
    };
    let root = parser.all(0)?;
    match parser.peek() {
        None => Ok(Some(root)),
        Some(token) => Err(format!(
            "{} is not expected; join terms with AND or OR",
            token.told()
        )),
    }
}

struct Parser<'a> {
    tokens: &'a [Token],
    at: usize,
    fields: &'a [&'a str],
}

impl<'a> Parser<'a> {
    fn peek(&self) -> Option<&'a Token> {
        self.tokens.get(self.at)
    }

    fn next(&mut self, wanted: &str) -> Result<&'a Token, String> {
        let token = self
            .peek()
            .ok_or_else(|| format!("{wanted} is missing at the end"))?;
        self.at += 1;
        Ok(token)
    }

    fn take_word(&mut self, word: &str) -> bool {
        let found = matches!(self.peek(), Some(Token::Word(text)) if text == word);
        self.at += usize::from(found);
        found
    }

    fn all(&mut self, depth: usize) -> Result<Node, String> {
        let mut nodes = vec![self.any(depth)?];
        while self.take_word("AND") {
            nodes.push(self.any(depth)?);
        }
        Ok(Node::All(nodes))
    }

    fn any(&mut self, depth: usize) -> Result<Node, String> {
        let mut nodes = vec![self.term(depth)?];
        while self.take_word("OR") {
            nodes.push(self.term(depth)?);
        }
        Ok(Node::Any(nodes))
    }

    fn term(&mut self, depth: usize) -> Result<Node, String> {
        if depth >= MAX_DEPTH {
            return Err(format!("is nested more than {MAX_DEPTH} deep"));
        }
        if self.take_word("NOT") || self.take_minus() {
            return Ok(Node::Not(Box::new(self.term(depth + 1)?)));
        }
        if self.peek() == Some(&Token::Open) {
            self.at += 1;
            let inner = self.all(depth + 1)?;
            return match self.next("')'")? {
                Token::Close => Ok(inner),
                token => Err(format!("{} stands where ')' is expected", token.told())),
            };
        }
        self.comparison()
    }

    fn take_minus(&mut self) -> bool {
        let found = self.peek() == Some(&Token::Minus);
        self.at += usize::from(found);
        found
    }

    fn comparison(&mut self) -> Result<Node, String> {
        let path = match self.next("a field")? {
            Token::Word(path) => path.clone(),
            token => return Err(format!("{} stands where a field is expected", token.told())),
        };
        let Token::Operator(operator) = *self.next(&format!("an operator after {path}"))? else {
            return Err(format!(
                "after {path:?} one of = != < <= > >= : is expected"
            ));
        };
        let value = match self.next("a value")? {
            Token::Word(value) | Token::Quoted(value) => value.clone(),
            token => return Err(format!("{} stands where a value is expected", token.told())),
        };
        self.check(&path, operator)?;
        Ok(Node::Compare {
            path,
            operator,
            value,
        })
    }

    /// Whether the field exists; one that ends in a point stands for everything below it.
    fn check(&self, path: &str, operator: Operator) -> Result<(), String> {
        let known = self.fields.iter().any(|field| {
            let below = field.ends_with('.') && path.len() > field.len() && path.starts_with(field);
            below || *field == path
        });
        let labels = path == "labels" && operator == Operator::Has;
        if known || (labels && self.fields.contains(&"labels.")) {
            return Ok(());
        }
        let fields: Vec<String> = self
            .fields
            .iter()
            .map(|field| match field.ends_with('.') {
                true => format!("{field}KEY"),
                false => (*field).to_owned(),
            })
            .collect();
        Err(format!(
            "{path:?} is not a field; there are {}",
            fields.join(", ")
        ))
    }
}
