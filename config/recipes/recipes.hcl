# The catalogue of `pixiecore quick`. A file of the same form, given by
# --catalogue, adds recipes, or replaces single settings of these.
#
# In the expressions: version and arch are what was asked for, mirror is what
# --mirror names, or the attribute; index is the JSON document at that URL.

recipe "debian" {
  title    = "Debian's installer"
  versions = ["stable", "oldstable", "testing", "unstable", "sid", "trixie", "forky"]
  arches   = { amd64 = ["ia32", "x64"], arm64 = ["arm64"] }
  arch     = "amd64"
  mirror   = "https://deb.debian.org/debian"
  kernel   = "${mirror}/dists/${version}/main/installer-${arch}/current/images/netboot/debian-installer/${arch}/linux"
  initrd   = ["${mirror}/dists/${version}/main/installer-${arch}/current/images/netboot/debian-installer/${arch}/initrd.gz"]
  fetches  = ["${mirror}/dists/${version}/Release"]
  sums     = "${mirror}/dists/${version}/main/installer-${arch}/current/images/SHA256SUMS"

  release "bookworm" "bullseye" {
    arches = { amd64 = ["ia32", "x64"], arm64 = ["arm64"], i386 = ["ia32", "x64"] }
  }
  release "buster" "stretch" {
    mirror = "https://archive.debian.org/debian"
    arches = { amd64 = ["ia32", "x64"], arm64 = ["arm64"], i386 = ["ia32", "x64"] }
    notes  = "The installer of an archived release asks for a mirror: archive.debian.org is one."
  }
  release "jessie" "wheezy" {
    mirror = "https://archive.debian.org/debian"
    arches = { amd64 = ["ia32", "x64"], i386 = ["ia32", "x64"] }
    notes  = "The installer of an archived release asks for a mirror: archive.debian.org is one. The signatures of this one have expired."
  }
}

# Until focal there is an installer of Debian's kind; since then the kernel
# fetches the live image that the server's installer runs from.
recipe "ubuntu" {
  title    = "Ubuntu Server's installer"
  versions = []
  arches   = { amd64 = ["ia32", "x64"] }
  arch     = "amd64"
  mirror   = "https://releases.ubuntu.com"
  kernel   = "${mirror}/${version}/netboot/${arch}/linux"
  initrd   = ["${mirror}/${version}/netboot/${arch}/initrd"]

  release "noble" {
    cmdline = "iso-url=${mirror}/noble/ubuntu-24.04.4-live-server-${arch}.iso ip=dhcp"
    fetches = ["${mirror}/noble/ubuntu-24.04.4-live-server-${arch}.iso"]
    notes   = "The whole image is kept in memory: give the machine 5 GiB."
  }
  release "jammy" {
    cmdline = "iso-url=${mirror}/jammy/ubuntu-22.04.5-live-server-${arch}.iso ip=dhcp"
    fetches = ["${mirror}/jammy/ubuntu-22.04.5-live-server-${arch}.iso"]
    notes   = "The whole image is kept in memory: give the machine 5 GiB."
  }
  release "focal" {
    mirror = arch == "amd64" ? "https://archive.ubuntu.com/ubuntu" : "https://ports.ubuntu.com/ubuntu-ports"
    arches = { amd64 = ["ia32", "x64"], arm64 = ["arm64"] }
    kernel = "${mirror}/dists/${version}/main/installer-${arch}/current/legacy-images/netboot/ubuntu-installer/${arch}/linux"
    initrd = ["${mirror}/dists/${version}/main/installer-${arch}/current/legacy-images/netboot/ubuntu-installer/${arch}/initrd.gz"]
  }
  release "bionic" "xenial" "trusty" {
    mirror = arch == "arm64" ? "https://ports.ubuntu.com/ubuntu-ports" : "https://archive.ubuntu.com/ubuntu"
    arches = { amd64 = ["ia32", "x64"], i386 = ["ia32", "x64"], arm64 = ["arm64"] }
    kernel = "${mirror}/dists/${version}/main/installer-${arch}/current/images/netboot/ubuntu-installer/${arch}/linux"
    initrd = ["${mirror}/dists/${version}/main/installer-${arch}/current/images/netboot/ubuntu-installer/${arch}/initrd.gz"]
  }
  release "groovy" {
    mirror = "https://old-releases.ubuntu.com/ubuntu"
    kernel = "${mirror}/dists/${version}/main/installer-${arch}/current/legacy-images/netboot/ubuntu-installer/${arch}/linux"
    initrd = ["${mirror}/dists/${version}/main/installer-${arch}/current/legacy-images/netboot/ubuntu-installer/${arch}/initrd.gz"]
  }
  release "eoan" "disco" "cosmic" "precise" {
    mirror = "https://old-releases.ubuntu.com/ubuntu"
    kernel = "${mirror}/dists/${version}/main/installer-${arch}/current/images/netboot/ubuntu-installer/${arch}/linux"
    initrd = ["${mirror}/dists/${version}/main/installer-${arch}/current/images/netboot/ubuntu-installer/${arch}/initrd.gz"]
  }
}

recipe "fedora" {
  title    = "Fedora Server's installer"
  versions = ["43", "42", "4[4-9]", "5[0-9]"]
  arches   = { x86_64 = ["ia32", "x64"], aarch64 = ["arm64"] }
  arch     = "x86_64"
  mirror   = "https://dl.fedoraproject.org/pub/fedora/linux"
  kernel   = "${mirror}/releases/${version}/Server/${arch}/os/images/pxeboot/vmlinuz"
  initrd   = ["${mirror}/releases/${version}/Server/${arch}/os/images/pxeboot/initrd.img"]
  cmdline  = "inst.stage2=${mirror}/releases/${version}/Server/${arch}/os/"
  fetches  = ["${mirror}/releases/${version}/Server/${arch}/os/images/install.img"]
  notes    = "A release that is no longer supported moves to https://archives.fedoraproject.org/pub/archive/fedora/linux: --mirror."

  release "41" "40" "39" "38" "37" "36" "35" "34" "33" "32" "31" "30" "29" {
    mirror = "https://archives.fedoraproject.org/pub/archive/fedora/linux"
    notes  = ""
  }
}

recipe "centos" {
  title    = "CentOS Stream's installer, and CentOS Linux of the vault"
  versions = ["10-stream", "9-stream"]
  arches   = { x86_64 = ["ia32", "x64"], aarch64 = ["arm64"] }
  arch     = "x86_64"
  mirror   = "https://mirror.stream.centos.org"
  kernel   = "${mirror}/${version}/BaseOS/${arch}/os/images/pxeboot/vmlinuz"
  initrd   = ["${mirror}/${version}/BaseOS/${arch}/os/images/pxeboot/initrd.img"]
  cmdline  = "inst.repo=${mirror}/${version}/BaseOS/${arch}/os/"
  fetches  = ["${mirror}/${version}/BaseOS/${arch}/os/images/install.img"]

  release "8-stream" {
    mirror = "https://vault.centos.org"
    notes  = "No longer supported: the vault has its last state."
  }
  release "8" {
    mirror  = "https://vault.centos.org"
    kernel  = "${mirror}/8.5.2111/BaseOS/${arch}/os/images/pxeboot/vmlinuz"
    initrd  = ["${mirror}/8.5.2111/BaseOS/${arch}/os/images/pxeboot/initrd.img"]
    cmdline = "inst.repo=${mirror}/8.5.2111/BaseOS/${arch}/os/"
    fetches = ["${mirror}/8.5.2111/BaseOS/${arch}/os/images/install.img"]
    notes   = "No longer supported: the vault has its last state."
  }
  release "7" {
    mirror  = "https://vault.centos.org"
    arches  = { x86_64 = ["ia32", "x64"] }
    kernel  = "${mirror}/7.9.2009/os/${arch}/images/pxeboot/vmlinuz"
    initrd  = ["${mirror}/7.9.2009/os/${arch}/images/pxeboot/initrd.img"]
    cmdline = "inst.repo=${mirror}/7.9.2009/os/${arch}/"
    fetches = ["${mirror}/7.9.2009/os/${arch}/LiveOS/squashfs.img"]
    notes   = "No longer supported: the vault has its last state."
  }
  # Their installers know method=, and no TLS of today.
  release "6" {
    mirror  = "http://vault.centos.org"
    arches  = { x86_64 = ["ia32", "x64"], i386 = ["ia32", "x64"] }
    kernel  = "${mirror}/6.10/os/${arch}/images/pxeboot/vmlinuz"
    initrd  = ["${mirror}/6.10/os/${arch}/images/pxeboot/initrd.img"]
    cmdline = "method=${mirror}/6.10/os/${arch}/"
    fetches = ["${mirror}/6.10/os/${arch}/images/install.img"]
    notes   = "No longer supported: the vault has its last state."
  }
  release "5" {
    mirror  = "http://vault.centos.org"
    arches  = { x86_64 = ["ia32", "x64"], i386 = ["ia32", "x64"] }
    kernel  = "${mirror}/5.11/os/${arch}/images/pxeboot/vmlinuz"
    initrd  = ["${mirror}/5.11/os/${arch}/images/pxeboot/initrd.img"]
    cmdline = "method=${mirror}/5.11/os/${arch}/"
    fetches = ["${mirror}/5.11/os/${arch}/images/stage2.img"]
    notes   = "No longer supported: the vault has its last state."
  }
}

recipe "almalinux" {
  title    = "AlmaLinux's installer"
  aliases  = ["alma"]
  versions = ["10", "9", "8", "8.[0-9]*", "9.[0-9]*", "10.[0-9]*"]
  arches   = { x86_64 = ["ia32", "x64"], aarch64 = ["arm64"] }
  arch     = "x86_64"
  mirror   = "https://repo.almalinux.org/almalinux"
  kernel   = "${mirror}/${version}/BaseOS/${arch}/os/images/pxeboot/vmlinuz"
  initrd   = ["${mirror}/${version}/BaseOS/${arch}/os/images/pxeboot/initrd.img"]
  cmdline  = "inst.repo=${mirror}/${version}/BaseOS/${arch}/os/"
  fetches  = ["${mirror}/${version}/BaseOS/${arch}/os/images/install.img"]
}

recipe "rocky" {
  title    = "Rocky Linux's installer"
  aliases  = ["rockylinux"]
  versions = ["10", "9", "8", "8.[0-9]*", "9.[0-9]*", "10.[0-9]*"]
  arches   = { x86_64 = ["ia32", "x64"], aarch64 = ["arm64"] }
  arch     = "x86_64"
  mirror   = "https://download.rockylinux.org/pub/rocky"
  kernel   = "${mirror}/${version}/BaseOS/${arch}/os/images/pxeboot/vmlinuz"
  initrd   = ["${mirror}/${version}/BaseOS/${arch}/os/images/pxeboot/initrd.img"]
  cmdline  = "inst.repo=${mirror}/${version}/BaseOS/${arch}/os/"
  fetches  = ["${mirror}/${version}/BaseOS/${arch}/os/images/install.img"]
}

recipe "opensuse" {
  title    = "openSUSE's installer"
  aliases  = ["suse"]
  versions = ["15.6", "15.5"]
  arches   = { x86_64 = ["ia32", "x64"], aarch64 = ["arm64"] }
  arch     = "x86_64"
  mirror   = "https://download.opensuse.org"
  kernel   = "${mirror}/distribution/leap/${version}/repo/oss/boot/${arch}/${arch == "x86_64" ? "loader/" : ""}linux"
  initrd   = ["${mirror}/distribution/leap/${version}/repo/oss/boot/${arch}/${arch == "x86_64" ? "loader/" : ""}initrd"]
  cmdline  = "install=${mirror}/distribution/leap/${version}/repo/oss/"
  fetches  = ["${mirror}/distribution/leap/${version}/repo/oss/boot/${arch}/root"]

  release "tumbleweed" {
    kernel  = "${mirror}/${arch == "x86_64" ? "tumbleweed" : "ports/${arch}/tumbleweed"}/repo/oss/boot/${arch}/${arch == "x86_64" ? "loader/" : ""}linux"
    initrd  = ["${mirror}/${arch == "x86_64" ? "tumbleweed" : "ports/${arch}/tumbleweed"}/repo/oss/boot/${arch}/${arch == "x86_64" ? "loader/" : ""}initrd"]
    cmdline = "install=${mirror}/${arch == "x86_64" ? "tumbleweed" : "ports/${arch}/tumbleweed"}/repo/oss/"
    fetches = ["${mirror}/${arch == "x86_64" ? "tumbleweed" : "ports/${arch}/tumbleweed"}/repo/oss/boot/${arch}/root"]
  }
}

recipe "arch" {
  title    = "Arch Linux's live system"
  aliases  = ["archlinux"]
  versions = ["latest", "20[0-9][0-9].[01][0-9].[0-3][0-9]"]
  version  = "latest"
  arches   = { x86_64 = ["ia32", "x64"] }
  arch     = "x86_64"
  mirror   = "https://geo.mirror.pkgbuild.com"
  kernel   = "${mirror}/iso/${version}/arch/boot/${arch}/vmlinuz-linux"
  initrd   = ["${mirror}/iso/${version}/arch/boot/${arch}/initramfs-linux.img"]
  cmdline  = "archisobasedir=arch archiso_http_srv=${mirror}/iso/${version}/ ip=dhcp cms_verify=y net.ifnames=0"
  fetches  = ["${mirror}/iso/${version}/arch/${arch}/airootfs.sfs"]
  notes    = "Mirrors keep the images of the last few months; older ones are at https://archive.archlinux.org: --mirror."
}

# Its initramfs is sure of http only; what it fetches is signed.
recipe "alpine" {
  title    = "Alpine Linux, running from memory"
  versions = ["latest-stable", "v3.[0-9]*", "edge"]
  version  = "latest-stable"
  arches   = { x86_64 = ["ia32", "x64"], aarch64 = ["arm64"] }
  arch     = "x86_64"
  mirror   = "https://dl-cdn.alpinelinux.org/alpine"
  kernel   = "${mirror}/${version}/releases/${arch}/netboot/vmlinuz-lts"
  initrd   = ["${mirror}/${version}/releases/${arch}/netboot/initramfs-lts"]
  cmdline  = "ip=dhcp modules=loop,squashfs alpine_repo=${replace(mirror, "https://", "http://")}/${version}/main modloop=${replace(mirror, "https://", "http://")}/${version}/releases/${arch}/netboot/modloop-lts"
  fetches  = ["${mirror}/${version}/releases/${arch}/netboot/modloop-lts"]
}

# Flatcar is what became of CoreOS Container Linux, whose servers are gone: it
# has the same channels.
recipe "flatcar" {
  title    = "Flatcar Container Linux, running from memory"
  aliases  = ["coreos", "core"]
  versions = ["stable", "beta", "alpha", "lts"]
  arches   = { amd64 = ["ia32", "x64"], arm64 = ["arm64"] }
  arch     = "amd64"
  mirror   = "https://${version}.release.flatcar-linux.net"
  kernel   = "${mirror}/${arch}-usr/current/flatcar_production_pxe.vmlinuz"
  initrd   = ["${mirror}/${arch}-usr/current/flatcar_production_pxe_image.cpio.gz"]
  cmdline  = "flatcar.first_boot=1"
  notes    = "Ignition reads ignition.config.url=URL of the command line. Say --cmdline flatcar.autologin for a shell on the console."
}

recipe "fedora-coreos" {
  title    = "Fedora CoreOS, running from memory"
  aliases  = ["fcos"]
  versions = ["stable", "testing", "next"]
  version  = "stable"
  arches   = { x86_64 = ["ia32", "x64"], aarch64 = ["arm64"] }
  arch     = "x86_64"
  mirror   = "https://builds.coreos.fedoraproject.org"
  index    = "${mirror}/streams/${version}.json"
  kernel   = index.architectures[arch].artifacts.metal.formats.pxe.kernel.location
  initrd   = [index.architectures[arch].artifacts.metal.formats.pxe.initramfs.location]
  cmdline  = "ignition.firstboot ignition.platform.id=metal coreos.live.rootfs_url=${index.architectures[arch].artifacts.metal.formats.pxe.rootfs.location}"
  fetches  = [index.architectures[arch].artifacts.metal.formats.pxe.rootfs.location]
  notes    = "Ignition reads ignition.config.url=URL of the command line. coreos.inst.install_dev=DISK there writes to that disk."
}

# https://www.talos.dev: its kernel refuses to start without these settings.
recipe "talos" {
  title    = "Talos Linux, waiting for its configuration"
  versions = ["latest", "v1.[0-9]*.[0-9]*"]
  version  = "latest"
  arches   = { amd64 = ["ia32", "x64"], arm64 = ["arm64"] }
  arch     = "amd64"
  mirror   = "https://github.com/siderolabs/talos/releases"
  kernel   = "${mirror}/${version == "latest" ? "latest/download" : "download/${version}"}/vmlinuz-${arch}"
  initrd   = ["${mirror}/${version == "latest" ? "latest/download" : "download/${version}"}/initramfs-${arch}.xz"]
  cmdline  = "talos.platform=metal console=tty0 init_on_alloc=1 slab_nomerge pti=on consoleblank=0 nvme_core.io_timeout=4294967295 printk.devkmsg=on ima_template=ima-ng ima_appraise=fix ima_hash=sha512"
  notes    = "A machine is configured by talosctl, or by talos.config=URL of the command line."
}

recipe "netboot.xyz" {
  title   = "netboot.xyz's menu"
  aliases = ["xyz", "netbootxyz"]
  arches  = { x86_64 = ["ia32", "x64"], arm64 = ["arm64"] }
  arch    = "x86_64"
  mirror  = "https://boot.netboot.xyz"
  kernel = {
    bios = "${mirror}/ipxe/netboot.xyz.lkrn"
    uefi = "${mirror}/ipxe/netboot.xyz${arch == "arm64" ? "-arm64" : ""}.efi"
  }
}

recipe "memtest86+" {
  title   = "Memtest86+ of this host"
  aliases = ["memtest"]
  arches  = { x64 = ["ia32", "x64"], ia32 = ["ia32", "x64"] }
  arch    = "x64"
  mirror  = "/boot"
  kernel = {
    bios = "${mirror}/memtest86+${arch}.bin"
    uefi = "${mirror}/memtest86+${arch}.efi"
  }
  notes = "Of Debian's and Ubuntu's package memtest86+, since upstream has archives only."
}
