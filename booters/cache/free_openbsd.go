package cache

import "golang.org/x/sys/unix"

// free is how many bytes can be written to the file system of a directory.
func free(dir string) (int64, error) {
	var st unix.Statfs_t
	err := unix.Statfs(dir, &st)
	return st.F_bavail * int64(st.F_bsize), err
}
