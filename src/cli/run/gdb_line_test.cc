#include "cli/run/gdb_line.h"

#include <gtest/gtest.h>

#include <fstream>

#include "base/testing/temporary_folder.h"

namespace ringside::cli {
namespace {

TEST(GdbLine, IsWhatAShellAndGdbTake) {
  const GdbFiles none{"/home", {}, {}};
  EXPECT_EQ(gdb_line("127.0.0.1:1234", none), "gdb -ex 'target remote 127.0.0.1:1234'");
  EXPECT_EQ(gdb_line("0.0.0.0:1234", none), "gdb -ex 'target remote 127.0.0.1:1234'");
  EXPECT_EQ(gdb_line("[::]:1234", none), "gdb -ex 'target remote [::1]:1234'");
  EXPECT_EQ(gdb_line("unix:a", none), "gdb -ex 'target remote /home/a'");
  EXPECT_EQ(gdb_line("unix:/tmp/it's", none), "gdb -ex 'target remote /tmp/it'\\''s'");
  EXPECT_EQ(gdb_line("1.2.3.4:5", {"/", "/a b/vmlinux", {}}),
            "gdb '/a b/vmlinux' -ex 'target remote 1.2.3.4:5'");
  EXPECT_EQ(gdb_line("1.2.3.4:5", {"/", "/l/vmlinux", "/l"}),
            "gdb -iex 'add-auto-load-safe-path /l' /l/vmlinux -ex 'target remote 1.2.3.4:5'");
}

TEST(GdbLine, IsNotThereWhereGdbCannotConnect) {
  for (const char* where : {"", "stdio", "fd:3", "unix:/a:b"})
    EXPECT_FALSE(gdb_line(where, {"/", {}, {}})) << where;
}

TEST(GdbFiles, HaveTheTreesCommandsWhereTheyAre) {
  const ringside::testing::TemporaryFolder folder;
  const std::string symbols = folder / "vmlinux";
  EXPECT_EQ(gdb_files(symbols).symbols, symbols);
  EXPECT_EQ(gdb_files(symbols).scripts, "");
  std::ofstream(folder / "vmlinux-gdb.py") << "";
  EXPECT_EQ(gdb_files(symbols).scripts, folder.path());
  EXPECT_EQ(gdb_files("").symbols, "");
}

}  // namespace
}  // namespace ringside::cli
