//! `allow` and `deny`: ids that are looked at before the share.

use super::super::diagnostic::Diagnostic;
use super::super::fields::{Context, Fields, Located, Span, Value, array, shorten, text};
use crate::flags::ID_MAX;
use std::collections::HashMap;

/// Ids of one flag in both lists: a reader compares with each of them.
const IDS_MAX: usize = 64;

/// Both lists, each id once.
#[derive(Default)]
pub(super) struct Lists {
    pub(super) allow: Vec<String>,
    pub(super) deny: Vec<String>,
}

/// An array of ids.
pub(super) fn read(context: &mut Context<'_>, value: &Value<'_>) -> Option<Vec<Located<String>>> {
    array(context, value, "an array of ids such as [\"user:1\"]", |c, v| {
        let id = text(c, v)?;
        if id.is_empty() || id.len() > ID_MAX {
            c.invalid(v.span(), &format!("an id has 1 to {ID_MAX} bytes, this one has {}", id.len()));
            return None;
        }
        Some(id)
    })
}

/// What the lists say together.
pub(super) fn check(
    fields: &mut Fields<'_, '_>,
    allow: Option<Located<Vec<Located<String>>>>,
    deny: Option<Located<Vec<Located<String>>>>,
) -> Lists {
    let mut lists = Lists::default();
    let mut seen: HashMap<String, (bool, Span)> = HashMap::new();
    let total = allow.iter().chain(&deny).map(|list| list.value.len()).sum::<usize>();
    let longer = match (&allow, &deny) {
        (Some(allow), Some(deny)) if deny.value.len() > allow.value.len() => Some(deny.span.clone()),
        (Some(list), _) | (None, Some(list)) => Some(list.span.clone()),
        (None, None) => None,
    };
    if let Some(at) = longer.filter(|_| total > IDS_MAX) {
        let message = format!("`allow` and `deny` hold {total} ids, {IDS_MAX} are allowed in both");
        fields
            .problems
            .push(Diagnostic::error(at, message).help("for more of them use a share, or another flag"));
        return lists;
    }
    let all = [(true, allow), (false, deny)];
    for (allowed, id) in all.into_iter().flat_map(|(allowed, list)| {
        list.map(|list| list.value).unwrap_or_default().into_iter().map(move |id| (allowed, id))
    }) {
        let shown = shorten(&id.value);
        match seen.get(&id.value) {
            None => {
                seen.insert(id.value.clone(), (allowed, id.span));
                if allowed { &mut lists.allow } else { &mut lists.deny }.push(id.value);
            }
            Some((same, first)) if *same == allowed => {
                let problem =
                    Diagnostic::warning(id.span, format!("the id `{shown}` is in this list already"));
                fields.problems.push(problem.related(first.clone(), "the first"));
            }
            Some((_, first)) => {
                let message = format!("the id `{shown}` is in both `allow` and `deny`");
                let problem = Diagnostic::error(id.span, message).help("keep one");
                fields.problems.push(problem.related(first.clone(), "it is allowed here"));
            }
        }
    }
    lists
}
