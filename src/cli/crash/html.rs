//! A crash as a page: what `show` says, for somebody who has no shell. One file that loads nothing and runs nothing. Pure.

use super::show;
use crate::cli::narrate::{Look, harmless};
use crate::crash::Record;

/// Wide enough that hardly a row is wrapped: a page can be scrolled.
const WIDTH: usize = 120;

/// The whole page. `records`: newest first, this one among them.
pub(super) fn page(record: &Record, records: &[Record]) -> String {
    let look = Look::plain().with_glyphs();
    let text = show::text(record, records, &look, WIDTH);
    let whole = serde_json::to_string_pretty(record).unwrap_or_default();
    let title = escape(&format!("{} {} {}", record.id, record.instance, record.cause));
    format!(
        "<!DOCTYPE html>\n\
         <html lang=\"en\">\n\
         <head>\n\
         <meta charset=\"utf-8\">\n\
         <meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">\n\
         <meta name=\"viewport\" content=\"width=device-width\">\n\
         <title>{title}</title>\n\
         <style>\n\
         body {{ font: 14px/1.5 ui-monospace, monospace; margin: 2em; color-scheme: light dark }}\n\
         pre {{ white-space: pre; overflow-x: auto }}\n\
         </style>\n\
         </head>\n\
         <body>\n\
         <h1>{title}</h1>\n\
         <p>Times are UTC.</p>\n\
         <pre>{}</pre>\n\
         <details><summary>The whole record</summary>\n\
         <pre>{}</pre>\n\
         </details>\n\
         </body>\n\
         </html>\n",
        escape(&text),
        escape(&whole),
    )
}

/// Text between tags: nothing in it is a tag, and nothing turns or hides what is around it.
fn escape(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for (n, line) in text.split('\n').enumerate() {
        if n > 0 {
            safe.push('\n');
        }
        for character in harmless(line.as_bytes()).chars() {
            match character {
                '&' => safe.push_str("&amp;"),
                '<' => safe.push_str("&lt;"),
                '>' => safe.push_str("&gt;"),
                '"' => safe.push_str("&quot;"),
                '\'' => safe.push_str("&#39;"),
                c => safe.push(c),
            }
        }
    }
    safe
}
