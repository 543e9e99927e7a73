#include "common/runtime_paths.h"

#include <doctest/doctest.h>
#include <linux/magic.h>
#include <unistd.h>

#include <filesystem>

#include "tests/support/temporary_directory.h"

using namespace jamsock;
namespace fs = std::filesystem;

namespace {

Error refused(const std::string& path, ErrorCode code = ErrorCode::daemon_unavailable) {
    const auto opened = open_state_directory(path);
    REQUIRE_FALSE(opened);
    const auto existing = open_existing_state_directory(path);
    REQUIRE_FALSE(existing);
    CHECK(existing.error().message == opened.error().message);
    CHECK(opened.error().code == code);
    return opened.error();
}

bool tells(const Error& error, std::string_view words) {
    return error.message.find(words) != std::string::npos;
}

}  // namespace

TEST_CASE("file systems that machines share are told from those of this one") {
    for (const long shared : {NFS_SUPER_MAGIC, SMB_SUPER_MAGIC, AFS_SUPER_MAGIC, AFS_FS_MAGIC,
                              CEPH_SUPER_MAGIC, CODA_SUPER_MAGIC, V9FS_MAGIC}) {
        CAPTURE(shared);
        CHECK(is_network_file_system(shared));
    }
    for (const std::uint32_t shared :
         {0xFE534D42u /* SMB 2 */, 0xFF534D42u /* CIFS */, 0x0BD00BD0u /* Lustre */,
          0x01161970u /* GFS2 */, 0x7461636fu /* OCFS2 */, 0x47504653u /* GPFS */,
          0x19830326u /* BeeGFS */, 0x20030528u /* OrangeFS */}) {
        CAPTURE(shared);
        CHECK(is_network_file_system(static_cast<long>(shared)));
        // As a machine with 32-bit words gives a number above 2^31.
        CHECK(is_network_file_system(static_cast<std::int32_t>(shared)));
    }
    for (const long local :
         {static_cast<long>(EXT4_SUPER_MAGIC), static_cast<long>(TMPFS_MAGIC),
          static_cast<long>(BTRFS_SUPER_MAGIC), static_cast<long>(OVERLAYFS_SUPER_MAGIC),
          static_cast<long>(XFS_SUPER_MAGIC), static_cast<long>(F2FS_SUPER_MAGIC),
          static_cast<long>(RAMFS_MAGIC), 0x65735546L /* FUSE */, 0x2FC12FC1L /* ZFS */, 0L}) {
        CAPTURE(local);
        CHECK_FALSE(is_network_file_system(local));
    }
}

TEST_CASE("a missing state directory is made, for its owner alone, with the ones above it") {
    const test::TemporaryDirectory directory;
    const std::string path = directory.path("a/b/state");
    CHECK_FALSE(open_existing_state_directory(path).value());
    CHECK_FALSE(fs::exists(directory.path("a")));
    CHECK(open_state_directory(path).value());
    CHECK((fs::status(path).permissions() & fs::perms::mask) == fs::perms::owner_all);
    CHECK(open_existing_state_directory(path).value());
}

TEST_CASE("a symbolic link is refused, and where it leads is the way out") {
    const test::TemporaryDirectory directory;
    const std::string real = directory.path("real place");
    fs::create_directory(real);
    fs::permissions(real, fs::perms::owner_all);
    fs::create_directory_symlink(real, directory.path("link"));
    const Error error = refused(directory.path("link"));
    CHECK(tells(error, "is a symbolic link, to '" + real + "'"));
    CHECK(error.hint == "export 'JAMSOCK_HOME=" + real + "'");
    fs::create_directory_symlink("nowhere", directory.path("dangling"));
    CHECK(tells(refused(directory.path("dangling")), "is a symbolic link, to 'nowhere'"));
}

TEST_CASE("what is no directory is refused, in its place and above it") {
    const test::TemporaryDirectory directory;
    std::ofstream(directory.path("file")) << "mine";
    CHECK(tells(refused(directory.path("file")), "is no directory"));
    const auto below = open_state_directory(directory.path("file/state"));
    REQUIRE_FALSE(below);
    CHECK(tells(below.error(), "can't be made: Not a directory"));
    CHECK(test::content_of(directory.path("file")) == "mine");
}

TEST_CASE("a directory that others may look into is refused") {
    const test::TemporaryDirectory directory;
    for (const auto bit : {fs::perms::group_read, fs::perms::group_exec, fs::perms::others_read,
                           fs::perms::others_write, fs::perms::others_exec}) {
        fs::permissions(directory.path(), fs::perms::owner_all | bit);
        const Error error = refused(directory.path());
        CHECK(tells(error, "is open to other users"));
        CHECK(error.hint == "chmod 700 " + directory.path());
    }
}

TEST_CASE("somebody else's directory is refused") {
    const test::TemporaryDirectory directory;
    if (::geteuid() != 0) {
        CHECK(tells(refused("/usr", ErrorCode::forbidden), "belongs to another user"));
        return;
    }
    REQUIRE(::chown(directory.path().c_str(), 65534, 65534) == 0);
    CHECK(tells(refused(directory.path(), ErrorCode::forbidden), "belongs to another user"));
}
