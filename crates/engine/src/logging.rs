//! JSON log lines: one object a line, keys that stay the same.

use std::fmt;

use k8s_openapi::jiff::Timestamp;
use serde_json::Value;
use tracing::{
    Event, Subscriber,
    field::{Field, Visit},
    span::{Attributes, Id},
};
use tracing_subscriber::{
    EnvFilter, Layer,
    fmt::{FmtContext, FormatEvent, FormatFields, format::Writer},
    layer::{Context, SubscriberExt},
    registry::{LookupSpan, Scope},
    util::SubscriberInitExt,
};

/// kube prints the whole body of an answer that it cannot decode, and that may be a Secret.
const NO_BODIES: &str = "kube_client::client=error";

/// Starts logging to standard error, as JSON. `level` is a level or a filter such as `info,kube=debug`.
///
/// # Errors
/// When `level` is not a filter, or logging was started before.
pub fn init(level: &str) -> Result<(), String> {
    let filter = EnvFilter::try_new(level).map_err(|error| format!("log level {level:?}: {error}"))?;
    let no_bodies = NO_BODIES.parse().map_err(|error| format!("log filter {NO_BODIES}: {error}"))?;
    let filter = filter.add_directive(no_bodies);
    let lines = tracing_subscriber::fmt::layer().with_writer(std::io::stderr).event_format(JsonLine);
    tracing_subscriber::registry()
        .with(filter)
        .with(SpanFields.and_then(lines))
        .try_init()
        .map_err(|error| error.to_string())
}

/// Fields in the order in which they were recorded.
#[derive(Clone, Default)]
struct Fields(Vec<(String, Value)>);

/// Keeps the fields of each span for the lines written inside it.
struct SpanFields;

impl<S> Layer<S> for SpanFields
where
    S: Subscriber + for<'a> LookupSpan<'a>,
{
    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, context: Context<'_, S>) {
        let Some(span) = context.span(id) else { return };
        let mut fields = Fields::default();
        attributes.record(&mut fields);
        span.extensions_mut().insert(fields);
    }
}

/// `{"level":"info","ts":"…","msg":"…", span fields, event fields}`
struct JsonLine;

impl<S, N> FormatEvent<S, N> for JsonLine
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(
        &self,
        context: &FmtContext<'_, S, N>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        let mut line = Fields::default();
        line.put("level", event.metadata().level().as_str().to_lowercase());
        line.put("ts", format!("{:.3}", Timestamp::now()));
        event.record(&mut line);
        for span in context.event_scope().into_iter().flat_map(Scope::from_root) {
            if let Some(Fields(fields)) = span.extensions().get::<Fields>() {
                line.0.extend(fields.iter().cloned());
            }
        }
        line.put("logger", event.metadata().target());
        writeln!(writer, "{line}")
    }
}

impl Fields {
    fn put(&mut self, name: &str, value: impl Into<Value>) {
        let name = if name == "message" { "msg" } else { name };
        self.0.push((name.to_owned(), value.into()));
    }
}

impl fmt::Display for Fields {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, (name, value)) in self.0.iter().enumerate() {
            let separator = if index == 0 { "{" } else { "," };
            write!(f, "{separator}{}:{value}", Value::from(name.as_str()))?;
        }
        f.write_str("}")
    }
}

impl Visit for Fields {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.put(field.name(), format!("{value:?}"));
    }
    fn record_str(&mut self, field: &Field, value: &str) {
        self.put(field.name(), value);
    }
    fn record_i64(&mut self, field: &Field, value: i64) {
        self.put(field.name(), value);
    }
    fn record_u64(&mut self, field: &Field, value: u64) {
        self.put(field.name(), value);
    }
    fn record_f64(&mut self, field: &Field, value: f64) {
        self.put(field.name(), value);
    }
    fn record_bool(&mut self, field: &Field, value: bool) {
        self.put(field.name(), value);
    }
}
