//! Floats in JSON that come back bit for bit.
//!
//! serde_json writes the shortest digits that identify a float, but by default reads them back with
//! an error of up to one unit in the last place. A threshold that moved by one unit could send a
//! row down another branch, so these functions read the digits with the standard library, which
//! rounds correctly. Only finite numbers are accepted. They work with serde_json only (`RawValue`).

use serde::de::Error;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::value::RawValue;

fn parse<E: Error>(raw: &RawValue) -> Result<f64, E> {
    let value: f64 = raw
        .get()
        .parse()
        .map_err(|_| E::custom(format!("expected a number, found {}", raw.get())))?;
    if value.is_finite() {
        Ok(value)
    } else {
        Err(E::custom(format!("expected a finite number, found {}", raw.get())))
    }
}

/// `#[serde(with = "exact::number")]` for `f64`.
pub(crate) mod number {
    use super::*;

    pub(crate) fn serialize<S: Serializer>(value: &f64, serializer: S) -> Result<S::Ok, S::Error> {
        value.serialize(serializer)
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<f64, D::Error> {
        parse(&Box::<RawValue>::deserialize(deserializer)?)
    }
}

/// `#[serde(with = "exact::optional")]` for `Option<f64>`; null is `None`.
pub(crate) mod optional {
    use super::*;

    pub(crate) fn serialize<S: Serializer>(
        value: &Option<f64>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        value.serialize(serializer)
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Option<f64>, D::Error> {
        match Option::<Box<RawValue>>::deserialize(deserializer)? {
            Some(raw) if raw.get() != "null" => parse(&raw).map(Some),
            _ => Ok(None),
        }
    }
}

/// `#[serde(with = "exact::numbers")]` for `Vec<f64>`.
pub(crate) mod numbers {
    use super::*;

    pub(crate) fn serialize<S: Serializer>(
        values: &[f64],
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        values.serialize(serializer)
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Vec<f64>, D::Error> {
        Vec::<Box<RawValue>>::deserialize(deserializer)?.iter().map(|raw| parse(raw)).collect()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde::{Deserialize, Serialize};

    #[derive(Serialize, Deserialize)]
    struct Numbers {
        #[serde(with = "super::number")]
        one: f64,
        #[serde(with = "super::optional")]
        perhaps: Option<f64>,
        #[serde(with = "super::numbers")]
        many: Vec<f64>,
    }

    proptest! {
        #[test]
        fn finite_floats_come_back_bit_for_bit(
            bits in proptest::collection::vec(any::<u64>(), 1..20),
        ) {
            let many: Vec<f64> =
                bits.iter().map(|b| f64::from_bits(*b)).filter(|v| v.is_finite()).collect();
            prop_assume!(!many.is_empty());
            let text = serde_json::to_string(&Numbers {
                one: many[0],
                perhaps: Some(many[0]),
                many: many.clone(),
            })
            .unwrap();
            let back: Numbers = serde_json::from_str(&text).unwrap();
            prop_assert_eq!(back.one.to_bits(), many[0].to_bits());
            prop_assert_eq!(back.perhaps.map(f64::to_bits), Some(many[0].to_bits()));
            prop_assert_eq!(
                back.many.iter().map(|v| v.to_bits()).collect::<Vec<_>>(),
                many.iter().map(|v| v.to_bits()).collect::<Vec<_>>()
            );
        }
    }

    #[test]
    fn text_and_overflow_are_refused_and_null_is_none() {
        assert!(
            serde_json::from_str::<Numbers>(r#"{"one":"1","perhaps":null,"many":[]}"#).is_err()
        );
        assert!(
            serde_json::from_str::<Numbers>(r#"{"one":1e999,"perhaps":null,"many":[]}"#).is_err()
        );
        assert!(
            serde_json::from_str::<Numbers>(r#"{"one":1,"perhaps":null,"many":[true]}"#).is_err()
        );
        let fine: Numbers =
            serde_json::from_str(r#"{"one":1,"perhaps":null,"many":[-0.0]}"#).unwrap();
        assert_eq!((fine.one, fine.perhaps), (1.0, None));
    }
}
