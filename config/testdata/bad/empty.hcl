# A file with nothing in it, as a half-finished save looks.
# want: - error: no listener | listener "dhcp"
