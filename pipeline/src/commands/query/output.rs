//! Where results go, if not to the terminal: a file that is there as a whole or not at all.

use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use riskstream_query::Form;
use tempfile::NamedTempFile;

use super::interrupts::Interrupts;
use crate::commands::CommandError;

/// How the name of a picture ends.
const PICTURE: &str = "svg";

/// What is written to a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum FileForm {
    /// Rows.
    Rows(Form),
    /// A chart of them.
    Picture,
}

impl FileForm {
    /// What is written: what was asked for, else what the name's ending says.
    ///
    /// # Errors
    /// The ending says nothing, or not the same.
    pub(super) fn of(path: &Path, form: Option<Form>) -> Result<Self, CommandError> {
        let is_picture = path
            .extension()
            .and_then(|ending| ending.to_str())
            .is_some_and(|ending| ending.eq_ignore_ascii_case(PICTURE));
        let refused = |message: String, help: &str| {
            Err(CommandError::Usage { message, help: Some(help.to_owned()) })
        };
        match (is_picture, form.or_else(|| Form::of_file(path))) {
            (true, None) => Ok(Self::Picture),
            (true, Some(form)) => refused(
                format!("{} is a picture, and {} asked for", path.display(), form.name()),
                "leave the form out, or give the file another ending",
            ),
            (false, Some(form)) => Ok(Self::Rows(form)),
            (false, None) => refused(
                format!("how {} is written is not told by its ending", path.display()),
                "end it with .csv, .json, .ndjson, .parquet, .arrow or .svg, or say --format",
            ),
        }
    }
}

/// A file in the making. It gets its name when it is whole; dropped before, it is gone.
#[derive(Debug)]
pub(super) struct OutFile {
    path: PathBuf,
    form: FileForm,
    to: To,
    results: usize,
    interrupts: Interrupts,
}

#[derive(Debug)]
enum To {
    /// Under another name in the same folder.
    Temporary(BufWriter<NamedTempFile>),
    /// What is no plain file, such as a pipe or `/dev/null`.
    Direct(BufWriter<File>),
}

impl OutFile {
    /// Begins a file.
    ///
    /// # Errors
    /// It can't be made.
    pub(super) fn create(
        path: &Path,
        form: FileForm,
        interrupts: &Interrupts,
    ) -> Result<Self, CommandError> {
        // A link stays one: what it names is written.
        let path = fs::canonicalize(path).unwrap_or_else(|_there_is_none| path.to_owned());
        let to = begin(&path).map_err(|error| not_written(&path, &error))?;
        if let To::Temporary(file) = &to {
            interrupts.keep_in_mind(file.get_ref().path());
        }
        Ok(Self { path, form, to, results: 0, interrupts: interrupts.clone() })
    }

    /// What it is.
    pub(super) fn form(&self) -> FileForm {
        self.form
    }

    /// Its name.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Takes one more result.
    ///
    /// # Errors
    /// Such a file has only one.
    pub(super) fn next_result(&mut self) -> Result<&mut dyn Write, CommandError> {
        self.results += 1;
        let has_several = match self.form {
            FileForm::Rows(form) => form.is_text(),
            FileForm::Picture => false,
        };
        if self.results > 1 && !has_several {
            let message = format!("{} holds one result, and this is another", self.path.display());
            let help = Some("give each a file of its own: `\\o FILE` before it".to_owned());
            return Err(CommandError::Usage { message, help });
        }
        let out: &mut dyn Write = match &mut self.to {
            To::Temporary(file) => file,
            To::Direct(file) => file,
        };
        Ok(out)
    }

    /// The file is whole: it gets its name.
    ///
    /// # Errors
    /// It can't be written to its end.
    pub(super) fn finish(self) -> Result<(), CommandError> {
        let Self { path, to, interrupts, .. } = self;
        let done = match to {
            To::Direct(mut file) => file.flush(),
            To::Temporary(file) => file.into_inner().map_err(io::Error::from).and_then(|file| {
                file.as_file().sync_all()?;
                let temporary = file.path().to_owned();
                file.persist(&path).map_err(|error| error.error)?;
                interrupts.forget(&temporary);
                Ok(())
            }),
        };
        done.map_err(|error| not_written(&path, &error))
    }
}

fn begin(path: &Path) -> io::Result<To> {
    if fs::metadata(path).is_ok_and(|found| !found.is_file() && !found.is_dir()) {
        return Ok(To::Direct(BufWriter::new(File::options().write(true).open(path)?)));
    }
    if path.is_dir() {
        return Err(io::Error::from(io::ErrorKind::IsADirectory));
    }
    let folder = match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        Some(_) | None => Path::new("."),
    };
    let mut builder = tempfile::Builder::new();
    builder.prefix(".riskstream-").suffix(".part");
    // As other files are, so that the umask decides who may read it.
    #[cfg(unix)]
    builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o666));
    Ok(To::Temporary(BufWriter::new(builder.tempfile_in(folder)?)))
}

/// What is said of a file that can't be written.
pub(super) fn not_written(path: &Path, error: &io::Error) -> CommandError {
    CommandError::Failed { message: format!("can't write {}: {error}", path.display()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn files(folder: &Path) -> Vec<String> {
        let entries = fs::read_dir(folder).expect("it is a folder");
        let names = entries.map(|entry| entry.expect("an entry").file_name());
        let mut names: Vec<String> =
            names.map(|name| name.to_string_lossy().into_owned()).collect();
        names.sort();
        names
    }

    #[test]
    fn a_file_is_there_as_a_whole_or_not_at_all() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("a.csv");
        fs::write(&path, "old").expect("written");
        let form = FileForm::of(&path, None).expect("a form");
        let begin = || OutFile::create(&path, form, &Interrupts::default()).expect("begun");
        let mut file = begin();
        file.next_result().and_then(|out| Ok(out.write_all(b"half")?)).expect("written");
        assert_eq!(files(folder.path()).len(), 2);
        drop(file);
        assert_eq!(files(folder.path()), ["a.csv"]);
        assert_eq!(fs::read_to_string(&path).expect("read"), "old");
        let mut file = begin();
        for text in ["one\n", "two\n"] {
            file.next_result().and_then(|out| Ok(out.write_all(text.as_bytes())?)).expect("ok");
        }
        file.finish().expect("finished");
        assert_eq!(fs::read_to_string(&path).expect("read"), "one\ntwo\n");
        assert_eq!(files(folder.path()), ["a.csv"]);
    }

    #[test]
    fn the_form_is_told_by_the_ending_or_by_the_user() {
        for (name, form, expected) in [
            ("a.csv", None, Some(FileForm::Rows(Form::Csv))),
            ("a.csv", Some(Form::Json), Some(FileForm::Rows(Form::Json))),
            ("a.txt", Some(Form::Table), Some(FileForm::Rows(Form::Table))),
            ("a.SVG", None, Some(FileForm::Picture)),
            ("a.svg", Some(Form::Csv), None),
            ("a.txt", None, None),
            ("a", None, None),
        ] {
            assert_eq!(FileForm::of(Path::new(name), form).ok(), expected, "{name}");
        }
    }

    #[test]
    fn a_file_of_columns_or_a_picture_holds_one_result() {
        let folder = tempfile::tempdir().expect("a folder");
        for name in ["a.parquet", "a.arrow", "a.svg"] {
            let path = folder.path().join(name);
            let form = FileForm::of(&path, None).expect("a form");
            let mut file = OutFile::create(&path, form, &Interrupts::default()).expect("begun");
            assert!(file.next_result().is_ok());
            assert!(file.next_result().is_err(), "{name}");
        }
        assert_eq!(files(folder.path()).len(), 0);
    }

    #[cfg(unix)]
    #[test]
    fn what_is_no_plain_file_is_written_as_it_is() {
        use std::os::unix::fs::FileTypeExt;
        let path = Path::new("/dev/null");
        let form = FileForm::Rows(Form::Csv);
        let mut file = OutFile::create(path, form, &Interrupts::default()).expect("begun");
        file.next_result().and_then(|out| Ok(out.write_all(b"x")?)).expect("written");
        file.finish().expect("finished");
        assert!(fs::metadata(path).expect("it is there").file_type().is_char_device());
    }
}
