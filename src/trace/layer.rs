//! For programs that speak `tracing`: their spans and events in the black box. With the feature `tracing`.

use super::parent::Current;
use super::{OpenSpan, Value, event_of};
use crate::blackbox::Kind;
use crate::context;
use crate::sys::own;
use std::fmt;
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::layer::{Context, Layer as AnyLayer};
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::registry::SpanRef;

/// Writes the spans and events of `tracing` to the black box of this life. An event of the level `ERROR` is also the last
/// error of its thread's [context](mod@crate::context); a field `error` of a span says that it failed.
///
/// ```
/// use tracing_subscriber::prelude::*;
///
/// tracing_subscriber::registry().with(mainstay::trace::Layer).init();
/// let _span = tracing::info_span!("request", path = "/pay").entered();
/// tracing::info!(attempt = 2, "asking the bank");
/// ```
#[derive(Clone, Copy, Debug, Default)]
pub struct Layer;

/// Which thread entered a span last, and what was its innermost one before.
struct EnteredBy {
    thread: u64,
    before: Current,
}

impl<S: Subscriber + for<'a> LookupSpan<'a>> AnyLayer<S> for Layer {
    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, of: Context<'_, S>) {
        let Some(span) = of.span(id) else { return };
        let name = span.name();
        let open = match span.parent() {
            Some(parent) => match parent.extensions().get::<OpenSpan>() {
                Some(parent) => parent.open_within(name, |_| {}),
                None => OpenSpan::open(name, |_| {}),
            },
            None => OpenSpan::open(name, |_| {}),
        };
        attributes.record(&mut Fields(&mut |key, value| said(&open, key, value)));
        span.extensions_mut().insert(open);
    }

    fn on_record(&self, id: &Id, values: &Record<'_>, of: Context<'_, S>) {
        let Some(span) = of.span(id) else { return };
        let extensions = span.extensions();
        let Some(open) = extensions.get::<OpenSpan>() else { return };
        values.record(&mut Fields(&mut |key, value| said(open, key, value)));
    }

    fn on_enter(&self, id: &Id, of: Context<'_, S>) {
        let Some(span) = of.span(id) else { return };
        let Some(current) = current(&span) else { return };
        span.extensions_mut().replace(EnteredBy { thread: own::thread(), before: Current::of_this_thread() });
        current.install();
    }

    fn on_exit(&self, id: &Id, of: Context<'_, S>) {
        let Some(span) = of.span(id) else { return };
        // Not when something that was opened later is still open.
        if current(&span) != Some(Current::of_this_thread()) {
            return;
        }
        let entered = span.extensions_mut().remove::<EnteredBy>().filter(|by| by.thread == own::thread());
        match entered {
            Some(by) => by.before.install(),
            // Another thread entered it, too.
            None => of.lookup_current().and_then(|span| current(&span)).unwrap_or(Current::NONE).install(),
        }
    }

    fn on_close(&self, id: Id, of: Context<'_, S>) {
        if let Some(span) = of.span(&id) {
            drop(span.extensions_mut().remove::<OpenSpan>());
        }
    }

    fn on_event(&self, event: &Event<'_>, of: Context<'_, S>) {
        let metadata = event.metadata();
        let explicit = event.parent().and_then(|id| current(&of.span(id)?));
        let before = Current::of_this_thread();
        explicit.unwrap_or(before).install();
        let is_error = *metadata.level() == Level::ERROR;
        let kind = if is_error { Kind::Error } else { Kind::Event };
        event_of(kind, metadata.name(), |text| {
            text.add("level", metadata.level().as_str());
            text.add("target", metadata.target());
            event.record(&mut Fields(&mut |key, value| text.add(key, value)));
        });
        if is_error {
            event.record(&mut Fields(&mut |key, value| {
                if key == "message" {
                    context::last_error(value);
                }
            }));
        }
        before.install();
    }
}

fn current<'a, R: LookupSpan<'a>>(span: &SpanRef<'a, R>) -> Option<Current> {
    span.extensions().get::<OpenSpan>().map(OpenSpan::as_current)
}

fn said(span: &OpenSpan, key: &str, value: &dyn Value) {
    if key == "error" { span.fail(value) } else { span.attribute(key, value) }
}

/// Hands each field on.
struct Fields<'a>(&'a mut dyn FnMut(&str, &dyn Value));

impl Visit for Fields<'_> {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        (self.0)(field.name(), &format_args!("{value:?}"));
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        (self.0)(field.name(), &value);
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        (self.0)(field.name(), &value);
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        (self.0)(field.name(), &value);
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        (self.0)(field.name(), &value);
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        (self.0)(field.name(), &value);
    }

    fn record_error(&mut self, field: &Field, value: &(dyn std::error::Error + 'static)) {
        (self.0)(field.name(), &format_args!("{value}"));
    }
}
