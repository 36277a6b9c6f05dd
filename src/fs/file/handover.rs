//! Several handles of one file, and files that leave the loop.

use std::io::{self, Seek, SeekFrom};

use super::File;
use crate::op::{self, Bounds};
use crate::sys;

impl File {
    /// Another handle of the same file: they share the cursor and the locks, and what dropped reads at the cursor had read
    /// is the next reader's, whoever that is. It takes no descriptor; the file is closed with the last.
    ///
    /// # Errors
    /// None so far; the signature is that of [`std::fs::File::try_clone`].
    ///
    /// # Examples
    /// ```
    /// # fn main() -> std::io::Result<()> {
    /// annulus::run(async {
    ///     let file = annulus::fs::File::open("Cargo.toml").await?;
    ///     let other = file.try_clone()?;
    ///     file.close().await?;
    ///     let (result, text) = other.read_exact(Vec::with_capacity(9)).await;
    ///     result?;
    ///     assert_eq!(text, b"[package]");
    ///     Ok(())
    /// })?
    /// # }
    /// ```
    pub fn try_clone(&self) -> io::Result<File> {
        Ok(self.another())
    }

    /// Ends what is in flight, waits for it, and gives the file to the standard library. The cursor is where the reads that
    /// somebody waited for left it: what dropped ones had read is read again. Where there is no going back, in a pipe for
    /// example, it comes beside the file, and belongs before what is read from that.
    ///
    /// Where there are other handles the file is duplicated, and they keep all of that; dup(2).
    ///
    /// # Errors
    /// `Unsupported` in a simulated world, whose files are not the machine's; those of dup(2). The file is then closed.
    ///
    /// # Cancel safety
    /// Dropping it closes the file.
    ///
    /// # Examples
    /// ```
    /// # fn main() -> std::io::Result<()> {
    /// annulus::run(async {
    ///     # if annulus::Runtime::try_current().unwrap().driver() == "sim" { return Ok(()); }
    ///     let file = annulus::fs::File::open("Cargo.toml").await?;
    ///     let (file, rest) = file.into_std().await?;
    ///     assert!(rest.is_empty());
    ///     assert!(file.metadata()?.is_file());
    ///     Ok(())
    /// })?
    /// # }
    /// ```
    pub async fn into_std(self) -> io::Result<(std::fs::File, Vec<u8>)> {
        op::check_real(&self.file)?;
        if self.file.is_shared() {
            let number = self.file.port().plain(self.file.number())?;
            let duplicate = sys::with_descriptor(number, |file| file.try_clone_to_owned())?;
            return Ok((duplicate.into(), Vec::new()));
        }
        let (file, luggage) = op::hand_over(self.file, Bounds::None).await.map_err(|(error, _)| error)?;
        let (mut file, mut rest) = (std::fs::File::from(file), luggage.bytes);
        if !rest.is_empty() && file.seek(SeekFrom::Current(-(rest.len() as i64))).is_ok() {
            rest.clear();
        }
        Ok((file, rest))
    }
}
