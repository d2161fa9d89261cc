//go:build !openbsd

package cache

import "golang.org/x/sys/unix"

// free is how many bytes can be written to the file system of a directory.
func free(dir string) (int64, error) {
	var st unix.Statfs_t
	err := unix.Statfs(dir, &st)
	return int64(st.Bavail) * int64(st.Bsize), err
}
