//! Which columns say when a row happened.

use super::found::{Said, Sniffed, SniffedTime, listed};
use super::times::Form;
use super::values::{ColumnValues, Looks};

/// Finds the column, or columns, of the event time.
pub(super) fn event_time(
    columns: &[ColumnValues],
    looks: &[Looks],
    records: usize,
    sniffed: &mut Sniffed,
    said: &mut Said,
) {
    // By: no row lacks it; it has a time of day; what its name says.
    let mut candidates: Vec<((bool, bool, i32), usize)> = Vec::new();
    for (place, (column, looks)) in columns.iter().zip(looks).enumerate() {
        let has_clock = match looks {
            Looks::Time(form) => form.has_clock,
            Looks::Epoch(_) => true,
            Looks::Is(_) | Looks::Clock(_) => continue,
        };
        let values = column.texts.len() + column.numbers.len();
        candidates.push(((values >= records, has_clock, hints(&column.name)), place));
    }
    candidates.sort_by_key(|(rank, place)| (std::cmp::Reverse(*rank), *place));
    let Some((rank, best)) = candidates.first().copied() else { return };
    let name = columns[best].name.clone();
    let rivals: Vec<&String> = candidates[1..]
        .iter()
        .filter(|(other, _)| other.2 >= rank.2 && other.0 == rank.0)
        .map(|(_, place)| &columns[*place].name)
        .collect();
    let others: Vec<&String> =
        candidates[1..].iter().map(|(_, place)| &columns[*place].name).collect();
    if !rivals.is_empty() {
        said.unsure(format!(
            "when a row happened: `{name}` is taken, and {} would do as well",
            listed(&rivals)
        ));
    } else if !others.is_empty() {
        said.guess(format!("when a row happened: `{name}`, and not {}", listed(&others)));
    }
    if !rank.0 {
        said.unsure(format!("`{name}` has no value in some records, which would be dead letters"));
    }
    let form = match &looks[best] {
        Looks::Epoch(unit) => {
            sniffed.event_time = vec![name];
            sniffed.event_time_format = SniffedTime((*unit).to_owned());
            return;
        }
        Looks::Time(form) => form,
        Looks::Is(_) | Looks::Clock(_) => return,
    };
    let clock = looks.iter().zip(columns).find_map(|(looks, column)| match looks {
        Looks::Clock(clock) if column.texts.len() >= records => Some((*clock, &column.name)),
        Looks::Clock(_) | Looks::Is(_) | Looks::Time(_) | Looks::Epoch(_) => None,
    });
    if let (false, Some((clock, other))) = (form.has_clock, clock) {
        said.guess(format!("the day in `{name}` and the time in `{other}` are one time"));
        let is_auto = form.written == "auto" && matches!(clock, "%H:%M:%S" | "%H:%M");
        let date = if form.written == "auto" { "%Y-%m-%d" } else { &form.written };
        sniffed.event_time_format = match is_auto {
            true => SniffedTime::auto(),
            false => SniffedTime(format!("{date} {clock}")),
        };
        said_of_time(&name, form, said);
        said_of_zone(&name, "`event_time`", said);
        sniffed.event_time = vec![name, other.clone()];
        return;
    }
    said_of_time(&name, form, said);
    if !form.has_offset {
        said_of_zone(&name, "`event_time`", said);
    }
    sniffed.event_time_format = SniffedTime(form.written.clone());
    sniffed.event_time = vec![name];
}

pub(super) fn said_of_time(name: &str, form: &Form, said: &mut Said) {
    if let Some(rival) = &form.rival {
        said.unsure(format!(
            "the days of `{name}`: they are read as {:?}, and {rival:?} fits all of them too",
            form.written
        ));
    }
}

pub(super) fn said_of_zone(name: &str, place: &str, said: &mut Said) {
    said.unsure(format!(
        "the zone of `{name}`: its times do not say one and are read as UTC; if they are those of \
         a place, add zone = \"Europe/Berlin\" (its name) to {place}"
    ));
}

/// Whether a name sounds like a time of day.
pub(super) fn is_of_day(name: &str) -> bool {
    let name = name.to_lowercase();
    let words = ["time", "zeit", "uhr", "heure", "hora", "kell", "klock", "tidspunkt"];
    words.iter().any(|word| name.contains(word))
}

/// How much a name sounds like the time at which a row happened; 0 for one that does not.
pub(super) fn hints(name: &str) -> i32 {
    let name = name.to_lowercase();
    let has = |words: &[&str]| words.iter().any(|word| name.contains(word));
    let is_time = has(&[
        "time",
        "date",
        "datum",
        "fecha",
        "data",
        "tag",
        "dag",
        "dato",
        "jour",
        "päivä",
        "uhrzeit",
        "heure",
        "hora",
        "stamp",
        "_at",
        "created",
        "day",
        "buchung",
        "opération",
        "tid",
    ]) || ["at", "ts", "dt"].contains(&name.as_str());
    if !is_time {
        return 0;
    }
    let is_of_event = has(&[
        "booking",
        "buchung",
        "transaction",
        "tx_",
        "txn",
        "timestamp",
        "datetime",
        "event",
        "occurred",
        "posted",
        "completed",
        "created",
        "bokf",
        "opération",
        "operation",
        "payment_at",
        "date_time",
        "bogf",
        "kirjaus",
    ]) || ["at", "ts", "time", "date", "datum", "timestamp"]
        .contains(&name.as_str());
    let is_of_else = has(&[
        "value", "valuta", "wert", "valeur", "birth", "geburt", "due", "expir", "fällig", "ränte",
        "rente", "updated", "modified", "start", "interest", "authori",
    ]);
    2 + 2 * i32::from(is_of_event) - 3 * i32::from(is_of_else)
}
