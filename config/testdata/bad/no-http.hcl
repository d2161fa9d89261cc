listener "status" {}
listener "tftp" {}
listener "pxe" {}
# want: 2:1 error: no http listener | beside listener "tftp"
