//! `SHOW`.

use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch, StringArray};

use super::columns::Columns;
use super::connection::Connection;
use super::error::Problem;
use super::rows::Supply;

/// The columns of `SHOW ALL`.
pub(super) const ALL: [&str; 3] = ["name", "setting", "description"];

impl Connection {
    /// A setting's name in its own spelling, which is the name of the column.
    pub(super) fn setting_name(&self, name: &str) -> String {
        let all = self.settings.all();
        let found = all.iter().find(|setting| setting.about.name.eq_ignore_ascii_case(name));
        found.map_or_else(|| name.to_owned(), |setting| setting.about.name.to_owned())
    }

    pub(super) fn show(&self, name: &str) -> Result<Supply, Problem> {
        let value = self.settings.get(name)?;
        rows(&[&self.setting_name(name)], vec![vec![value]])
    }

    pub(super) fn show_all(&self) -> Result<Supply, Problem> {
        let mut columns = vec![Vec::new(), Vec::new(), Vec::new()];
        for setting in self.settings.all() {
            let about = setting.about;
            let shown = self.settings.get(about.name)?;
            let row = [about.name.to_owned(), shown, about.description.to_owned()];
            columns.iter_mut().zip(row).for_each(|(column, value)| column.push(value));
        }
        rows(&ALL, columns)
    }
}

fn rows(names: &[&str], columns: Vec<Vec<String>>) -> Result<Supply, Problem> {
    let shown = Arc::new(Columns::texts(names)?);
    let arrays = columns.into_iter().map(|column| Arc::new(StringArray::from(column)) as ArrayRef);
    let batch = RecordBatch::try_new(Arc::clone(shown.schema()), arrays.collect())
        .map_err(crate::error::QueryError::from)?;
    Ok(Supply::of_rows(shown, batch))
}
