//! Dates, times and intervals as PostgreSQL prints them with DateStyle ISO and IntervalStyle
//! postgres.

use bytes::{BufMut, BytesMut};

use crate::postgres::values::calendar::{SECOND_US, day_of};
use crate::postgres::values::value::{Instant, Interval};
use crate::postgres::values::zone::{SessionZone, split_days};

use super::put::{put_digits, put_int};

const MINUTE_US: i64 = 60 * SECOND_US;
const HOUR_US: i64 = 60 * MINUTE_US;

/// Appends what has no date.
fn put_infinity(instant: Instant, out: &mut BytesMut) -> Option<i64> {
    match instant {
        Instant::At(at) => return Some(at),
        Instant::Past => out.put_slice(b"-infinity"),
        Instant::Future => out.put_slice(b"infinity"),
    }
    None
}

/// Appends a date.
pub(super) fn put_date(date: Instant, out: &mut BytesMut) {
    if let Some(days) = put_infinity(date, out) {
        let before_christ = put_day(days, out);
        put_era(before_christ, out);
    }
}

/// Appends year, month and day, and tells whether the year is one before Christ.
fn put_day(days: i64, out: &mut BytesMut) -> bool {
    let day = day_of(days);
    let before_christ = day.year <= 0;
    let year = if before_christ { 1 - day.year } else { day.year };
    put_digits(year.unsigned_abs(), 4, out);
    out.put_u8(b'-');
    put_digits(u64::from(day.month), 2, out);
    out.put_u8(b'-');
    put_digits(u64::from(day.day), 2, out);
    before_christ
}

fn put_era(before_christ: bool, out: &mut BytesMut) {
    if before_christ {
        out.put_slice(b" BC");
    }
}

/// Appends a time of the day.
pub(super) fn put_time(microseconds: i64, out: &mut BytesMut) {
    put_digits((microseconds / HOUR_US).unsigned_abs(), 2, out);
    put_minutes(microseconds % HOUR_US, out);
}

/// Appends minutes and seconds with their colons, and a fraction if there is one.
fn put_minutes(microseconds: i64, out: &mut BytesMut) {
    let microseconds = microseconds.unsigned_abs();
    let second = SECOND_US.unsigned_abs();
    out.put_u8(b':');
    put_digits(microseconds / (60 * second), 2, out);
    out.put_u8(b':');
    put_digits(microseconds / second % 60, 2, out);
    let mut fraction = microseconds % second;
    if fraction > 0 {
        let mut width = 6;
        while fraction.is_multiple_of(10) {
            fraction /= 10;
            width -= 1;
        }
        out.put_u8(b'.');
        put_digits(fraction, width, out);
    }
}

/// Appends a timestamp without zone, with a separator between day and time.
pub(super) fn put_timestamp(at: Instant, separator: u8, out: &mut BytesMut) {
    if let Some(microseconds) = put_infinity(at, out) {
        let (days, time) = split_days(microseconds);
        let before_christ = put_day(days, out);
        out.put_u8(separator);
        put_time(time, out);
        put_era(before_christ, out);
    }
}

/// Appends an instant as a zone's clock shows it, with the shortest form of the offset.
pub(super) fn put_timestamptz(at: Instant, zone: SessionZone, out: &mut BytesMut) {
    put_zoned(at, zone, b' ', false, out);
}

/// Appends an instant as JSON has it: with `T`, and minutes in each offset.
pub(super) fn put_json_timestamptz(at: Instant, zone: SessionZone, out: &mut BytesMut) {
    put_zoned(at, zone, b'T', true, out);
}

fn put_zoned(at: Instant, zone: SessionZone, separator: u8, minutes: bool, out: &mut BytesMut) {
    let Some(microseconds) = put_infinity(at, out) else { return };
    let offset = i64::from(zone.offset_at(microseconds));
    // Near the end of 64 bits the offset doesn't fit on top: it is added to the time of the day.
    let (days, time) = split_days(microseconds);
    let (carried, time) = split_days(time + offset * SECOND_US);
    let before_christ = put_day(days + carried, out);
    out.put_u8(separator);
    put_time(time, out);
    out.put_u8(if offset < 0 { b'-' } else { b'+' });
    let seconds = offset.unsigned_abs();
    put_digits(seconds / 3_600, 2, out);
    if minutes || seconds % 3_600 != 0 {
        out.put_u8(b':');
        put_digits(seconds / 60 % 60, 2, out);
    }
    if seconds % 60 != 0 {
        out.put_u8(b':');
        put_digits(seconds % 60, 2, out);
    }
    put_era(before_christ, out);
}

/// Appends an interval.
pub(super) fn put_interval(interval: Interval, out: &mut BytesMut) {
    let start = out.len();
    let mut before = false;
    let parts =
        [(interval.months / 12, " year"), (interval.months % 12, " mon"), (interval.days, " day")];
    for (count, unit) in parts.into_iter().filter(|(count, _)| *count != 0) {
        put_space(start, out);
        // Behind a negative part a positive one has a sign.
        if before && count > 0 {
            out.put_u8(b'+');
        }
        put_int(i64::from(count), out);
        out.put_slice(unit.as_bytes());
        if count != 1 {
            out.put_u8(b's');
        }
        before = count < 0;
    }
    if interval.microseconds != 0 || out.len() == start {
        put_space(start, out);
        if interval.microseconds < 0 {
            out.put_u8(b'-');
        } else if before {
            out.put_u8(b'+');
        }
        put_digits((interval.microseconds / HOUR_US).unsigned_abs(), 2, out);
        put_minutes(interval.microseconds % HOUR_US, out);
    }
}

fn put_space(start: usize, out: &mut BytesMut) {
    if out.len() > start {
        out.put_u8(b' ');
    }
}
