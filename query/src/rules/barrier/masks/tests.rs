use std::sync::Arc;

use arrow::array::{Int64Array, UInt64Array};

use super::*;

fn key(byte: u8) -> MaskKey {
    MaskKey(Arc::new(hmac::Key::new(hmac::HMAC_SHA256, &[byte; 32])))
}

fn texts(mask: &Mask, of: &DataType) -> Vec<Option<String>> {
    let column = StringArray::from(vec![Some("DE02120300000000202051"), Some("short"), None]);
    let column = cast(&column, of).unwrap();
    let masked = mask.apply(&column, &BooleanBuffer::new_unset(3)).unwrap();
    assert_eq!(masked.data_type(), of);
    let masked = cast(&masked, &DataType::Utf8).unwrap();
    masked.as_string::<i32>().iter().map(|text| text.map(str::to_owned)).collect()
}

#[test]
fn texts_of_every_kind_are_masked() {
    let dictionary = DataType::Dictionary(Box::new(DataType::Int32), Box::new(DataType::Utf8));
    for of in [DataType::Utf8, DataType::LargeUtf8, DataType::Utf8View, dictionary] {
        let shown = |text: &str| Some(text.to_owned());
        assert_eq!(texts(&Mask::LastFour, &of), [shown("****2051"), shown("****"), None]);
        let hidden = vec![shown("***"); 3];
        assert_eq!(texts(&Mask::Text("***".into()), &of), hidden);
        assert_eq!(texts(&Mask::Null, &of), [None, None, None]);
        let hashes = texts(&Mask::Hash(key(1)), &of);
        assert_eq!(hashes[0].as_ref().unwrap().len(), 32);
        assert_eq!(hashes, texts(&Mask::Hash(key(1)), &of));
        assert_ne!(hashes, texts(&Mask::Hash(key(2)), &of));
        assert_eq!(hashes[2], None);
    }
}

#[test]
fn integers_keep_their_type() {
    let shown = BooleanBuffer::new_unset(3);
    let column: ArrayRef = Arc::new(Int64Array::from(vec![Some(5), None, Some(5)]));
    let masked = Mask::Hash(key(1)).apply(&column, &shown).unwrap();
    let masked = masked.as_primitive::<Int64Type>();
    assert!(masked.value(0) >= 0 && masked.value(0) != 5 && masked.is_null(1));
    assert_eq!(masked.value(0), masked.value(2));
    let column: ArrayRef = Arc::new(UInt64Array::from(vec![5]));
    let of_unsigned = Mask::Hash(key(1)).apply(&column, &BooleanBuffer::new_unset(1)).unwrap();
    assert_eq!(of_unsigned.as_primitive::<UInt64Type>().value(0), masked.value(0) as u64);
}

#[test]
fn shown_rows_are_as_they_are() {
    let column: ArrayRef = Arc::new(StringArray::from(vec!["a", "b", "c"]));
    let shown: BooleanBuffer = [false, true, false].into_iter().collect();
    let masked = Mask::Text("***".into()).apply(&column, &shown).unwrap();
    assert_eq!(masked.as_string::<i32>(), &StringArray::from(vec!["***", "b", "***"]));
    let all = Mask::Null.apply(&column, &BooleanBuffer::new_set(3)).unwrap();
    assert_eq!(&all, &column);
}
