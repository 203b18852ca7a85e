//! Sources: from the configuration to what `ingest` opens. An absent schema is inferred here,
//! before anything is planned.

use std::path::PathBuf;
use std::sync::Arc;

use chrono::Datelike;
use riskstream_engine::contract::{Source, SourceError};
use riskstream_engine::runtime::{Clock, FIRST_PATIENCE};
use riskstream_ingest::{
    ColumnForm, Compression, CsvMarks, CsvOptions, DebeziumOptions, DecimalHandling, Endpoint,
    EventTimeSpec, FileFormat, FileSource, FileSourceSpec, GeneratorSource, GeneratorSpec,
    KafkaSource, KafkaSourceSpec, LoansSpec, MessageFormat, MessagePart, Paced, PostgresSource,
    PostgresSourceSpec, StartAt, TimeFormat, TimePrecision, ValueForms,
};

use crate::config::Spanned;
use crate::config::defaults;
use crate::config::spec::{self, Rate, Simulation, SourceKind};
use crate::steps::micros;

/// Days from 0001-01-01 to 1970-01-01, for chrono's day count.
const EPOCH_DAYS_FROM_CE: i32 = 719_163;

/// Opens a source: files are found and a schema is inferred if none is given; nothing is read
/// beyond that.
///
/// # Errors
/// When no file is found, or one can't be read.
pub fn open_source(
    source: &spec::Source,
    clock: &Arc<dyn Clock>,
) -> Result<Box<dyn Source>, SourceError> {
    match &source.kind {
        SourceKind::File(file) => Ok(Box::new(FileSource::new(file_spec(source, file))?)),
        SourceKind::Kafka(kafka) => Ok(Box::new(KafkaSource::new(kafka_spec(source, kafka))?)),
        SourceKind::Postgres(postgres) => {
            Ok(Box::new(PostgresSource::new(postgres_spec(source, postgres)?)?))
        }
        SourceKind::Generator(generator) => {
            let made = generator_source(&source.name.value, generator)?;
            match generator.rate {
                Rate::Max => Ok(Box::new(made)),
                Rate::PerSecond(rate) => {
                    let clock = Arc::clone(clock);
                    Ok(Box::new(Paced::new(
                        Box::new(made),
                        rate,
                        Box::new(move || {
                            i64::try_from(clock.steady_nanos() / 1_000).unwrap_or(i64::MAX)
                        }),
                    )))
                }
            }
        }
    }
}

/// A file source as `ingest` takes it.
pub(crate) fn file_spec(source: &spec::Source, file: &spec::FileSource) -> FileSourceSpec {
    FileSourceSpec {
        base: PathBuf::from("."),
        format: file.format.map(|f| match f {
            spec::FileFormat::Json => FileFormat::Json,
            spec::FileFormat::Csv => FileFormat::Csv,
            spec::FileFormat::Parquet => FileFormat::Parquet,
            spec::FileFormat::DebeziumJson => FileFormat::Debezium(debezium_options(file.debezium)),
        }),
        compression: match file.compression {
            spec::Compression::Auto => None,
            spec::Compression::None => Some(Compression::None),
            spec::Compression::Gzip => Some(Compression::Gzip),
            spec::Compression::Zstd => Some(Compression::Zstd),
        },
        follow: file.follow,
        encoding: file.encoding,
        csv: CsvOptions {
            header: file.csv.header,
            delimiter: file.csv.delimiter,
            quote: file.csv.quote,
            escape: file.csv.escape,
            skip_lines: file.csv.skip_lines,
        },
        forms: value_forms(source),
        missing_as_null: file.missing_columns == spec::MissingColumns::Null,
        schema: source.schema.as_ref().map(|fields| {
            fields.iter().map(|f| (f.name.value.clone(), f.data_type.value.clone())).collect()
        }),
        event_time: event_time(source),
        ties_by: source.event_time.ties_by.iter().map(|t| t.value.clone()).collect(),
        future_skew_max_us: micros(source.event_time.future_skew_max),
        ..FileSourceSpec::new(
            &source.name.value,
            file.paths.iter().map(|p| p.value.clone()).collect(),
            &source.event_time.column.value,
        )
    }
}

fn debezium_options(debezium: spec::Debezium) -> DebeziumOptions {
    DebeziumOptions {
        decimals: match debezium.decimals {
            spec::Decimals::Precise => DecimalHandling::Precise,
            spec::Decimals::String => DecimalHandling::String,
            spec::Decimals::Double => DecimalHandling::Double,
        },
        times: match debezium.times {
            spec::Times::Adaptive => TimePrecision::Adaptive,
            spec::Times::Connect => TimePrecision::Connect,
        },
    }
}

/// A PostgreSQL source as `ingest` takes it; its password is looked up here.
fn postgres_spec(
    source: &spec::Source,
    postgres: &spec::PostgresSource,
) -> Result<PostgresSourceSpec, SourceError> {
    let fail = |object: &str, reason: String| SourceError::Unreadable {
        source_name: source.name.value.clone(),
        object: object.into(),
        reason,
    };
    let mut endpoint =
        Endpoint::parse(&postgres.url.value).map_err(|reason| fail("its url", reason))?;
    if let Some(variable) = &postgres.password_env {
        let password = std::env::var(&variable.value).map_err(|_| {
            fail(
                "its password",
                format!("the environment variable {variable} is not set; set it to the password"),
            )
        })?;
        endpoint = endpoint.with_password(password);
    }
    Ok(PostgresSourceSpec {
        name: source.name.value.clone(),
        endpoint,
        table: postgres.table.value.clone(),
        slot: postgres.slot.value.clone(),
        publication: postgres.publication.value.clone(),
        schema: source.schema.as_ref().map(|fields| {
            fields.iter().map(|f| (f.name.value.clone(), f.data_type.value.clone())).collect()
        }),
        event_time: source.event_time.column.value.clone(),
        ties_by: source.event_time.ties_by.iter().map(|t| t.value.clone()).collect(),
        future_skew_max_us: micros(source.event_time.future_skew_max),
        heartbeat: postgres.heartbeat,
        stop_at_end: postgres.stop == spec::Stop::End,
        first_patience: FIRST_PATIENCE,
    })
}

fn event_time(source: &spec::Source) -> EventTimeSpec {
    let time = &source.event_time;
    EventTimeSpec {
        column: time.column.value.clone(),
        format: zoned(&time.format, time.zone.as_ref()),
        parts: time.parts.iter().map(|part| part.value.clone()).collect(),
    }
}

/// How values are written, with what single columns say of it.
fn value_forms(source: &spec::Source) -> ValueForms {
    let columns = source.schema.iter().flatten().filter_map(|field| {
        let is_usual = field.from.is_none() && field.format.is_none() && field.zone.is_none();
        let auto = spec::TimeFormat::Auto;
        let format = field.format.as_ref().map_or(&auto, |format| &format.value);
        let form = ColumnForm {
            from: field.from.as_ref().map(|from| from.value.clone()),
            format: Some(zoned(format, field.zone.as_ref())),
        };
        (!is_usual).then(|| (field.name.value.clone(), form))
    });
    ValueForms { columns: columns.collect(), ..source.forms.clone() }
}

/// A format in a zone, which was checked to be one.
fn zoned(format: &spec::TimeFormat, zone: Option<&Spanned<String>>) -> TimeFormat {
    let format = format.read_as();
    match zone {
        Some(zone) => format.clone().in_zone(&zone.value).unwrap_or(format),
        None => format,
    }
}

/// Longest value of a message; Kafka's own limit is a megabyte unless it is raised.
const MESSAGE_BYTES_MAX: usize = 16 * 1024 * 1024;

/// A topic as `ingest` takes it.
pub(crate) fn kafka_spec(source: &spec::Source, kafka: &spec::KafkaSource) -> KafkaSourceSpec {
    let name = &source.name.value;
    let part = |part: &spec::MessagePart| match part {
        spec::MessagePart::Key => MessagePart::Key,
        spec::MessagePart::Timestamp => MessagePart::Timestamp,
        spec::MessagePart::Header(header) => MessagePart::Header(header.clone()),
    };
    KafkaSourceSpec {
        name: name.clone(),
        brokers: kafka.brokers.value.clone(),
        topic: kafka.topic.value.clone(),
        format: match kafka.format {
            spec::KafkaFormat::Json => MessageFormat::Json,
            spec::KafkaFormat::DebeziumJson => {
                MessageFormat::Debezium(debezium_options(kafka.debezium))
            }
            spec::KafkaFormat::Csv => MessageFormat::Csv(CsvMarks {
                delimiter: kafka.csv.delimiter.unwrap_or(defaults::CSV_DELIMITER),
                quote: kafka.csv.quote,
                escape: kafka.csv.escape,
            }),
        },
        encoding: kafka.encoding,
        forms: value_forms(source),
        start: match kafka.start {
            spec::KafkaStart::Earliest => StartAt::Earliest,
            spec::KafkaStart::Latest => StartAt::Latest,
        },
        stop_at_end: kafka.stop == spec::KafkaStop::End,
        read_committed: kafka.isolation == spec::Isolation::ReadCommitted,
        skip_tombstones: kafka.tombstones == spec::Tombstones::Skip,
        group: kafka.group.as_ref().map_or_else(
            || format!("{}{name}", defaults::KAFKA_GROUP_PREFIX),
            |group| group.value.clone(),
        ),
        settings: kafka
            .settings
            .iter()
            .map(|(name, value)| (name.value.clone(), value.clone()))
            .collect(),
        parts: kafka
            .columns
            .iter()
            .map(|(column, from)| (column.value.clone(), part(from)))
            .collect(),
        schema: source
            .schema
            .iter()
            .flatten()
            .map(|f| (f.name.value.clone(), f.data_type.value.clone()))
            .collect(),
        event_time: event_time(source),
        ties_by: source.event_time.ties_by.iter().map(|t| t.value.clone()).collect(),
        future_skew_max_us: micros(source.event_time.future_skew_max),
        record_bytes_max: MESSAGE_BYTES_MAX,
    }
}

/// A generator, before it is held back to a rate.
///
/// # Errors
/// When its numbers make no sense.
pub(crate) fn generator_source(
    name: &str,
    generator: &spec::GeneratorSource,
) -> Result<GeneratorSource, SourceError> {
    let start_day = generator.start.num_days_from_ce() - EPOCH_DAYS_FROM_CE;
    let spec::GeneratorSource { seed, rows, broken_share, .. } = *generator;
    let narrow = |number: u64| u32::try_from(number).unwrap_or(u32::MAX);
    match &generator.of {
        Simulation::Payments(payments) => GeneratorSource::new(GeneratorSpec {
            customers: narrow(payments.customers),
            terminals: narrow(payments.terminals),
            radius: payments.radius,
            start_day,
            days: Some(payments.days),
            rows,
            broken_share,
            ..GeneratorSpec::new(name, seed)
        }),
        Simulation::Loans(loans) => GeneratorSource::new(LoansSpec {
            name: name.to_owned(),
            seed,
            loans: narrow(loans.loans),
            lenders: loans.lenders,
            start_day,
            months: loans.months,
            rows,
            broken_share,
        }),
    }
}
