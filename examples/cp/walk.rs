//! What is to be done, and the tasks that do it.

use std::mem;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::sync::Arc;

use annulus::fs::{File, ReadDir};
use annulus::{spawn, spawn_blocking};

use crate::batch::{self, Entry};
use crate::content;
use crate::file::Source;
use crate::folder::Folder;
use crate::links::Links;
use crate::queue::Queue;
use crate::tally::{Failure, Tally};

/// A piece of work.
pub enum Work {
    /// A directory's name, and that of the one to be made.
    Enter(Rc<Folder>, PathBuf, PathBuf),
    /// The rest of the names in a directory.
    Names(Rc<Folder>, ReadDir),
    /// What is no directory, and as far as one knows small.
    Batch(Rc<Folder>, Vec<Entry>),
    /// A file that is large.
    Large(Rc<Folder>, Entry),
}

pub struct Walk {
    pub queue: Queue<Work>,
    pub tally: Tally,
    links: Arc<Links>,
}

impl Walk {
    pub fn new(tally: Tally) -> Walk {
        Walk { queue: Queue::new(), tally, links: Arc::default() }
    }

    /// Until there is nothing more to do, by so many tasks.
    pub async fn run(self: &Rc<Walk>, jobs: usize) {
        let tasks: Vec<_> = (0..jobs).map(|_| spawn(Rc::clone(self).work())).collect();
        for task in tasks {
            task.await.expect("none is cancelled, and a panic ends all");
        }
    }

    async fn work(self: Rc<Walk>) {
        while let Some(work) = self.queue.take().await {
            let (folder, result) = match work {
                Work::Enter(folder, name, to) => {
                    let result = self.enter(&folder, &name, &to).await;
                    (folder, result)
                }
                Work::Names(folder, names) => {
                    let result = self.read(&folder, names).await;
                    (folder, result)
                }
                Work::Batch(folder, entries) => {
                    self.copy(&folder, entries).await;
                    (folder, Ok(()))
                }
                Work::Large(folder, entry) => {
                    let result = self.copy_large(&folder, entry).await;
                    (folder, result)
                }
            };
            result.unwrap_or_else(|failure| self.tally.fail(failure));
            self.leave(folder).await;
            self.queue.done();
        }
    }

    async fn enter(&self, above: &Rc<Folder>, name: &Path, to: &Path) -> Result<(), Failure> {
        let failed = |error| above.ends.at_source(name, error);
        let source = above.source.descend(name).await.map_err(failed)?;
        let names = source.read_dir().await.map_err(failed)?;
        let descriptor = source.with_fd(|directory| directory.try_clone_to_owned());
        let descriptor = descriptor.and_then(|duplicate| duplicate).map_err(failed)?;
        let (ends, name, to) = (Arc::clone(&above.ends), name.to_owned(), to.to_owned());
        let (ends, stat) = aside(move || ends.below(descriptor, &name, &to)).await?;
        let folder =
            Folder { source, ends: Arc::new(ends), finish: Some(stat), above: Some(Rc::clone(above)) };
        self.queue.put(Work::Names(Rc::new(folder), names));
        Ok(())
    }

    /// Reads as many names as are copied at once. Whoever comes next reads on, meanwhile.
    async fn read(&self, folder: &Rc<Folder>, mut names: ReadDir) -> Result<(), Failure> {
        let (mut entries, mut below) = (Vec::new(), Vec::new());
        let mut is_over = false;
        while entries.len() < batch::NAMES && below.len() < batch::NAMES {
            let entry = match names.next_entry().await {
                Ok(Some(entry)) => entry,
                over => {
                    // What was read of it is copied all the same.
                    let failure = over.err().map(|error| Failure::new(&folder.ends.source_path, error));
                    failure.into_iter().for_each(|failure| self.tally.fail(failure));
                    is_over = true;
                    break;
                }
            };
            let name = PathBuf::from(entry.file_name());
            let kind = match entry.file_type().await {
                Ok(kind) => kind,
                Err(error) => {
                    self.tally.fail(folder.ends.at_source(&name, error));
                    continue;
                }
            };
            match kind.is_dir() {
                true => below.push(name),
                false => entries.push(Entry { to: name.clone(), name, kind }),
            }
        }
        if !is_over {
            self.queue.put(Work::Names(Rc::clone(folder), names));
        }
        for name in below {
            self.queue.put(Work::Enter(Rc::clone(folder), name.clone(), name));
        }
        self.copy(folder, entries).await;
        Ok(())
    }

    async fn copy(&self, folder: &Rc<Folder>, entries: Vec<Entry>) {
        if entries.is_empty() {
            return;
        }
        let (ends, links) = (Arc::clone(&folder.ends), Arc::clone(&self.links));
        let done = aside(move || batch::copy(&ends, entries, &links)).await;
        self.tally.add(done.files, done.bytes);
        done.failures.into_iter().for_each(|failure| self.tally.fail(failure));
        done.large.into_iter().for_each(|entry| self.queue.put(Work::Large(Rc::clone(folder), entry)));
    }

    async fn copy_large(&self, folder: &Rc<Folder>, entry: Entry) -> Result<(), Failure> {
        let (ends, links) = (Arc::clone(&folder.ends), Arc::clone(&self.links));
        let to = ends.target_path.join(&entry.to);
        let opened = aside(move || {
            let source = Source::open(&ends, &entry)?;
            let target = source.make(&ends, &entry, &links)?;
            Ok(target.map(|target| (source.file, target)))
        });
        if let Some((from, target)) = opened.await? {
            let (from, target) = (File::from_std(from), File::from_std(target));
            let copied = content::copy(&from, &target, |bytes| self.tally.add(0, bytes)).await;
            // What a disk that is not here could not keep, some say at the end only.
            copied.and(target.close().await).map_err(|error| Failure::new(to, error))?;
        }
        self.tally.add(1, 0);
        Ok(())
    }

    /// Gives a directory back. Who is the last finishes it; and that may have been the last of what is in the one above.
    async fn leave(&self, mut folder: Rc<Folder>) {
        while let Ok(mut last) = Rc::try_unwrap(folder) {
            if let Some(stat) = mem::take(&mut last.finish) {
                let finished = aside(move || last.ends.finish(&stat)).await;
                finished.unwrap_or_else(|failure| self.tally.fail(failure));
            }
            let Some(above) = last.above else { break };
            folder = above;
        }
    }
}

/// On a helper thread, for the loop waits for no disk.
async fn aside<T: Send + 'static>(job: impl FnOnce() -> T + Send + 'static) -> T {
    spawn_blocking(job).await.expect("it is not cancelled, and if it panics all ends")
}
