//! Text to tokens.

use super::Operator;

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Token {
    Word(String),
    /// A quoted text: never a keyword.
    Quoted(String),
    Operator(Operator),
    Open,
    Close,
    Minus,
}

impl Token {
    /// How a message names it.
    pub(super) fn told(&self) -> String {
        match self {
            Self::Word(text) | Self::Quoted(text) => format!("{text:?}"),
            Self::Operator(_) => "an operator".to_owned(),
            Self::Open => "'('".to_owned(),
            Self::Close => "')'".to_owned(),
            Self::Minus => "'-'".to_owned(),
        }
    }
}

/// The tokens of a filter, or what is wrong with it.
pub(super) fn tokens(text: &str) -> Result<Vec<Token>, String> {
    let mut tokens = Vec::new();
    let mut rest = text.trim_start();
    while let Some(first) = rest.chars().next() {
        let (token, length) = match first {
            '(' => (Token::Open, 1),
            ')' => (Token::Close, 1),
            '"' | '\'' => quoted(rest, first)?,
            '=' | '!' | '<' | '>' | ':' => operator(rest)?,
            '-' => (Token::Minus, 1),
            _ if is_word(first) => word(rest),
            _ => {
                return Err(format!(
                    "{first:?} at byte {} is unknown",
                    text.len() - rest.len()
                ));
            }
        };
        tokens.push(token);
        rest = rest[length..].trim_start();
    }
    Ok(tokens)
}

fn is_word(c: char) -> bool {
    c.is_alphanumeric() || matches!(c, '_' | '.' | '-' | '*' | '/')
}

fn word(rest: &str) -> (Token, usize) {
    let length = rest.find(|c| !is_word(c)).unwrap_or(rest.len());
    (Token::Word(rest[..length].to_owned()), length)
}

fn quoted(rest: &str, quote: char) -> Result<(Token, usize), String> {
    let mut text = String::new();
    let mut characters = rest.char_indices().skip(1);
    while let Some((at, c)) = characters.next() {
        match c {
            '\\' => text.extend(characters.next().map(|(_, escaped)| escaped)),
            c if c == quote => return Ok((Token::Quoted(text), at + c.len_utf8())),
            c => text.push(c),
        }
    }
    Err("a quote is not closed".to_owned())
}

fn operator(rest: &str) -> Result<(Token, usize), String> {
    const OPERATORS: [(&str, Operator); 7] = [
        ("!=", Operator::NotEqual),
        ("<=", Operator::LessOrEqual),
        (">=", Operator::GreaterOrEqual),
        ("=", Operator::Equal),
        ("<", Operator::Less),
        (">", Operator::Greater),
        (":", Operator::Has),
    ];
    let found = OPERATORS.iter().find(|(sign, _)| rest.starts_with(sign));
    match found {
        Some((sign, operator)) => Ok((Token::Operator(*operator), sign.len())),
        None => Err("'!' stands alone; did you mean '!='?".to_owned()),
    }
}
