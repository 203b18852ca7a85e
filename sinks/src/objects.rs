//! A disk as deltalake wants it: objects by name. For disks whose files nobody else can open; on
//! the machine's own, deltalake does it itself.
//!
//! What is put is durable, and whole, when the put returns.

use std::fmt;
use std::ops::Range;
use std::path::PathBuf;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use chrono::{DateTime, Utc};
use futures::StreamExt;
use futures::stream::{self, BoxStream};
use object_store::path::Path as ObjectPath;
use object_store::{
    Attributes, CopyMode, CopyOptions, Error, GetOptions, GetResult, GetResultPayload, ListResult,
    MultipartUpload, ObjectMeta, ObjectStore, PutMode, PutMultipartOptions, PutOptions, PutPayload,
    PutResult, Result, UploadPart,
};
use riskstream_engine::disk::Disk;

/// See the [module documentation](self).
#[derive(Debug, Clone)]
pub(crate) struct DiskObjects(pub(crate) Arc<dyn Disk>);

impl fmt::Display for DiskObjects {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("DiskObjects")
    }
}

fn path_of(location: &ObjectPath) -> PathBuf {
    PathBuf::from(format!("/{location}"))
}

fn failed(location: &ObjectPath) -> impl FnOnce(std::io::Error) -> Error {
    let path = location.to_string();
    move |source| {
        if source.kind() == std::io::ErrorKind::NotFound {
            Error::NotFound { path, source: Box::new(source) }
        } else {
            Error::Generic { store: "disk", source: Box::new(source) }
        }
    }
}

const DONE: PutResult = PutResult { e_tag: None, version: None };

impl DiskObjects {
    fn put(&self, location: &ObjectPath, content: Vec<Bytes>, mode: &PutMode) -> Result<()> {
        let path = path_of(location);
        if let Some(folder) = path.parent() {
            self.0.make_folders(folder).map_err(failed(location))?;
        }
        match mode {
            PutMode::Overwrite => self.0.replace_durably(&path, &content).map_err(failed(location)),
            PutMode::Create => {
                let hidden = path.with_file_name(format!(".{:016x}.tmp", self.0.unique()));
                if self.0.create_durably(&hidden, &path, &content).map_err(failed(location))? {
                    return Ok(());
                }
                let source = std::io::Error::from(std::io::ErrorKind::AlreadyExists);
                Err(Error::AlreadyExists { path: location.to_string(), source: Box::new(source) })
            }
            PutMode::Update(_) => Err(Error::NotImplemented {
                operation: "update".into(),
                implementer: "disk".into(),
            }),
        }
    }

    fn meta(&self, location: &ObjectPath) -> Result<ObjectMeta> {
        let found = self
            .0
            .look(&path_of(location))
            .map_err(failed(location))?
            .filter(|found| !found.is_folder);
        let Some(found) = found else {
            return Err(failed(location)(std::io::ErrorKind::NotFound.into()));
        };
        let last_modified = found.modified.map_or(DateTime::UNIX_EPOCH, DateTime::<Utc>::from);
        Ok(ObjectMeta {
            location: location.clone(),
            last_modified,
            size: found.bytes,
            e_tag: None,
            version: None,
        })
    }

    /// What is directly in a folder: files, and folders.
    fn entries(&self, folder: &ObjectPath) -> Result<(Vec<ObjectMeta>, Vec<ObjectPath>)> {
        let (mut files, mut folders) = (Vec::new(), Vec::new());
        let listed = match self.0.list(&path_of(folder)) {
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok((files, folders)),
            listed => listed.map_err(failed(folder))?,
        };
        for entry in listed {
            let location = folder.clone().join(entry.name.as_str());
            if entry.is_folder {
                folders.push(location);
                continue;
            }
            match self.meta(&location) {
                Ok(meta) => files.push(meta),
                // It went away meanwhile.
                Err(Error::NotFound { .. }) => {}
                Err(e) => return Err(e),
            }
        }
        Ok((files, folders))
    }

    /// All files below a folder, by name.
    fn all(&self, folder: &ObjectPath) -> Result<Vec<ObjectMeta>> {
        let (mut files, folders) = self.entries(folder)?;
        for folder in folders {
            files.extend(self.all(&folder)?);
        }
        files.sort_by(|a, b| a.location.cmp(&b.location));
        Ok(files)
    }

    fn read(&self, location: &ObjectPath, range: &Range<u64>) -> Result<Bytes> {
        let file = self.0.open(&path_of(location)).map_err(failed(location))?;
        let length = usize::try_from(range.end.saturating_sub(range.start)).unwrap_or(0);
        let mut content = vec![0; length];
        file.read_at(&mut content, range.start).map_err(failed(location))?;
        Ok(content.into())
    }
}

#[async_trait]
impl ObjectStore for DiskObjects {
    async fn put_opts(
        &self,
        location: &ObjectPath,
        payload: PutPayload,
        options: PutOptions,
    ) -> Result<PutResult> {
        self.put(location, payload.into_iter().collect(), &options.mode).map(|()| DONE)
    }

    async fn put_multipart_opts(
        &self,
        location: &ObjectPath,
        _options: PutMultipartOptions,
    ) -> Result<Box<dyn MultipartUpload>> {
        Ok(Box::new(Upload {
            objects: self.clone(),
            location: location.clone(),
            parts: Vec::new(),
        }))
    }

    async fn get_opts(&self, location: &ObjectPath, options: GetOptions) -> Result<GetResult> {
        let meta = self.meta(location)?;
        options.check_preconditions(&meta)?;
        let range = match options.range {
            Some(range) => range
                .as_range(meta.size)
                .map_err(|e| Error::Generic { store: "disk", source: Box::new(e) })?,
            None => 0..meta.size,
        };
        let content = if options.head { Bytes::new() } else { self.read(location, &range)? };
        let payload =
            GetResultPayload::Stream(stream::once(std::future::ready(Ok(content))).boxed());
        Ok(GetResult { payload, meta, range, attributes: Attributes::default() })
    }

    fn delete_stream(
        &self,
        locations: BoxStream<'static, Result<ObjectPath>>,
    ) -> BoxStream<'static, Result<ObjectPath>> {
        let objects = self.clone();
        locations
            .map(move |location| {
                let location = location?;
                objects.0.remove(&path_of(&location)).map_err(failed(&location))?;
                Ok(location)
            })
            .boxed()
    }

    fn list(&self, prefix: Option<&ObjectPath>) -> BoxStream<'static, Result<ObjectMeta>> {
        let listed = self.all(&prefix.cloned().unwrap_or_default());
        let listed =
            listed.map_or_else(|e| vec![Err(e)], |files| files.into_iter().map(Ok).collect());
        stream::iter(listed).boxed()
    }

    async fn list_with_delimiter(&self, prefix: Option<&ObjectPath>) -> Result<ListResult> {
        let (objects, common_prefixes) = self.entries(&prefix.cloned().unwrap_or_default())?;
        Ok(ListResult { objects, common_prefixes })
    }

    async fn copy_opts(
        &self,
        from: &ObjectPath,
        to: &ObjectPath,
        options: CopyOptions,
    ) -> Result<()> {
        let content = self.0.read(&path_of(from)).map_err(failed(from))?;
        let mode = match options.mode {
            CopyMode::Overwrite => PutMode::Overwrite,
            CopyMode::Create => PutMode::Create,
        };
        self.put(to, vec![content], &mode)
    }
}

/// An object that comes in parts.
#[derive(Debug)]
struct Upload {
    objects: DiskObjects,
    location: ObjectPath,
    parts: Vec<Bytes>,
}

#[async_trait]
impl MultipartUpload for Upload {
    fn put_part(&mut self, payload: PutPayload) -> UploadPart {
        self.parts.extend(payload);
        Box::pin(std::future::ready(Ok(())))
    }

    async fn complete(&mut self) -> Result<PutResult> {
        self.objects
            .put(&self.location, std::mem::take(&mut self.parts), &PutMode::Overwrite)
            .map(|()| DONE)
    }

    async fn abort(&mut self) -> Result<()> {
        self.parts.clear();
        Ok(())
    }
}
