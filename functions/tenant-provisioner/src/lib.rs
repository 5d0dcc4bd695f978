//! Function tenant-provisioner.
