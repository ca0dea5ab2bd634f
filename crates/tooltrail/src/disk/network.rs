//! Detects network file systems, where locks and syncs promise less than we need.

use std::io;
use std::path::Path;

/// The network file systems, by the magic number that the system reports for them.
#[cfg(target_os = "linux")]
const MAGIC: [(u64, &str); 15] = [
    (0x6969, "nfs"),
    (0x517B, "smb"),
    (0xFE53_4D42, "smb2"),
    (0xFF53_4D42, "cifs"),
    (0x0102_1997, "9p"),
    (0x00C3_6400, "ceph"),
    (0x5346_414F, "afs"),
    (0x6B41_4653, "afs"),
    (0x7375_7245, "coda"),
    (0x564C, "ncp"),
    (0x0116_1970, "gfs2"),
    (0x7461_636F, "ocfs2"),
    (0x0BD0_0BD0, "lustre"),
    (0x4750_4653, "gpfs"),
    (0x1983_0326, "beegfs"),
];

/// The magic number of all file systems in user space (FUSE); only the mount table shows which one it is.
#[cfg(target_os = "linux")]
const FUSE: u64 = 0x6573_5546;

/// The FUSE types that use a network.
#[cfg(target_os = "linux")]
const FUSE_NETWORK: [&str; 10] = [
    "fuse.sshfs",
    "fuse.glusterfs",
    "fuse.ceph-fuse",
    "fuse.s3fs",
    "fuse.rclone",
    "fuse.gcsfuse",
    "fuse.goofys",
    "fuse.juicefs",
    "fuse.davfs2",
    "fuse.cvmfs2",
];

/// Returns the name of the network file system that contains a folder, `None` if it is a local one. If the folder does
/// not exist yet, its nearest existing parent counts.
///
/// # Errors
/// Any I/O error of the operating system.
#[cfg(target_os = "linux")]
pub fn network_file_system(folder: &Path) -> io::Result<Option<&'static str>> {
    let here = Path::new(".");
    let folders = folder.ancestors().map(|folder| if folder.as_os_str().is_empty() { here } else { folder });
    let there = folders.into_iter().find(|folder| folder.exists()).unwrap_or(here);
    // The magic number is the lower 32 bits; on some machines the field is wider and signed.
    let magic = rustix::fs::statfs(there)?.f_type as u64 & u64::from(u32::MAX);
    if magic != FUSE {
        return Ok(name(magic, None));
    }
    let device = rustix::fs::stat(there)?.st_dev;
    let mounts = std::fs::read_to_string("/proc/self/mountinfo")?;
    let device = format!("{}:{}", rustix::fs::major(device), rustix::fs::minor(device));
    Ok(name(magic, mount_type(&mounts, &device)))
}

/// Returns `None`: other systems are not checked, and the operator must know the file system.
#[cfg(not(target_os = "linux"))]
pub fn network_file_system(_folder: &Path) -> io::Result<Option<&'static str>> {
    Ok(None)
}

/// Returns the name of a network file system by its magic number and, for FUSE, its mount type.
#[cfg(target_os = "linux")]
fn name(magic: u64, fuse_type: Option<&str>) -> Option<&'static str> {
    if magic == FUSE {
        return FUSE_NETWORK.into_iter().find(|known| fuse_type == Some(known));
    }
    MAGIC.into_iter().find(|(known, _)| *known == magic).map(|(_, name)| name)
}

/// Returns the file system type of a device from the mount table.
#[cfg(target_os = "linux")]
fn mount_type<'a>(mounts: &'a str, device: &str) -> Option<&'a str> {
    let mount = mounts.lines().find(|line| line.split(' ').nth(2) == Some(device))?;
    mount.split_once(" - ")?.1.split(' ').next()
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::{FUSE, mount_type, name, network_file_system};
    use std::path::Path;

    #[test]
    fn network_file_systems_are_known() {
        let check = |magic: u64, fuse_type: Option<&str>, expected: Option<&str>| {
            assert_eq!(name(magic, fuse_type), expected, "{magic:x} {fuse_type:?}");
        };
        check(0x6969, None, Some("nfs"));
        check(0xFF53_4D42, None, Some("cifs"));
        check(0xFE53_4D42, None, Some("smb2"));
        check(0x0102_1997, None, Some("9p"));
        check(0x00C3_6400, None, Some("ceph"));
        check(FUSE, Some("fuse.sshfs"), Some("fuse.sshfs"));
        check(FUSE, Some("fuse.mergerfs"), None);
        check(FUSE, Some("fuseblk"), None);
        check(FUSE, None, None);
        for (local, magic) in [("ext4", 0xEF53), ("xfs", 0x5846_5342), ("btrfs", 0x9123_683E), ("tmpfs", 0x0102_1994)] {
            assert_eq!(name(magic, None), None, "{local}");
        }
        assert_eq!(network_file_system(Path::new("/proc/missing/deep")).unwrap(), None);
        assert_eq!(network_file_system(Path::new("missing")).unwrap(), None);
    }

    #[test]
    fn a_mount_is_found_by_its_device() {
        let mounts = "22 1 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw\n\
            40 22 0:45 / /mnt/a\\040b rw,nosuid shared:9 master:3 - fuse.sshfs me@host:/ rw,user_id=0\n\
            41 22 0:46 / /mnt/c rw - fuse.mergerfs a:b rw\n";
        let check = |device: &str, expected: Option<&str>| assert_eq!(mount_type(mounts, device), expected, "{device}");
        check("8:1", Some("ext4"));
        check("0:45", Some("fuse.sshfs"));
        check("0:46", Some("fuse.mergerfs"));
        check("0:4", None);
        check("22", None);
    }
}
