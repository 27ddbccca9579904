#include "sandbox/keeper.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <thread>

#include "base/testing/temporary_folder.h"
#include "base/whole_file.h"
#include "sandbox/messages.h"
#include "transport/listener.h"

namespace ringside::sandbox {
namespace {

std::string content_of(const std::string& path) {
  std::ifstream stream(path);
  return {std::istreambuf_iterator<char>(stream), {}};
}

std::string text_of(int file) {
  char text[64];
  const ssize_t size = ::read(file, text, sizeof text);
  return {text, static_cast<std::size_t>(std::max<ssize_t>(size, 0))};
}

class KeeperTest : public ::testing::Test {
 protected:
  KeeperTest() {
    std::ofstream(folder_ + "/kernel") << "first";
    std::ofstream(folder_ + "/secret") << "secret";
    names_.inputs = {folder_ + "/kernel"};
    names_.folders = {folder_, folder_, folder_ + "/none"};
    names_.debugger_may_come = true;
    auto keeper = start_keeper(names_);
    EXPECT_TRUE(keeper.has_value());
    keeper_ = *std::move(keeper);
  }
  std::size_t files() const {
    const std::filesystem::directory_iterator all(folder_);
    return static_cast<std::size_t>(std::distance(begin(all), end(all)));
  }

  const ringside::testing::TemporaryFolder scratch_;
  const std::string folder_ = scratch_.path();
  Names names_;
  std::unique_ptr<Outside> keeper_;
};

TEST_F(KeeperTest, OpensInputsAsTheyAreNow) {
  ASSERT_TRUE(keeper_->open_input(folder_ + "/kernel")) << "by itself, before the guest begins";
  ASSERT_TRUE(keeper_->begin());
  auto file = keeper_->open_input(folder_ + "/kernel");
  ASSERT_TRUE(file);
  EXPECT_EQ(text_of(file->get()), "first");
  // As a linker makes a new one.
  std::filesystem::remove(folder_ + "/kernel");
  EXPECT_EQ(keeper_->open_input(folder_ + "/kernel").error(), ENOENT);
  std::ofstream(folder_ + "/kernel") << "second";
  file = keeper_->open_input(folder_ + "/kernel");
  ASSERT_TRUE(file);
  EXPECT_EQ(text_of(file->get()), "second");
}

TEST_F(KeeperTest, OpensNothingElse) {
  EXPECT_EQ(keeper_->open_input(folder_ + "/secret").error(), EPERM);
  ASSERT_TRUE(keeper_->begin());
  EXPECT_EQ(keeper_->open_input(folder_ + "/secret").error(), EPERM);
  EXPECT_EQ(keeper_->open_input("/etc/passwd").error(), EPERM);
  EXPECT_EQ(keeper_->open_input("").error(), EPERM);
  EXPECT_FALSE(keeper_->open_input(std::string(100000, 'x')));
  Folder& folder = keeper_->folder(FolderOf::Files);
  EXPECT_FALSE(folder.open_module("secret"));
  EXPECT_FALSE(folder.open_module("../secret.ko"));
  EXPECT_FALSE(folder.create("secret", FileKind::Core));
  EXPECT_FALSE(folder.create("../x", FileKind::Core));
  EXPECT_EQ(folder.check(std::string(300, 'x'), FileKind::Core).error().text(),
            "'" + std::string(300, 'x') + "': File name too long");
  EXPECT_EQ(files(), 2u);
}

TEST_F(KeeperTest, MakesFilesThatAppearWhenTheyAreFinished) {
  ASSERT_TRUE(keeper_->begin());
  Folder& folder = keeper_->folder(FolderOf::Files);
  {
    auto file = WholeFile::create(folder, "dump", FileKind::Core);
    ASSERT_TRUE(file);
    ASSERT_TRUE(file->write(std::as_bytes(std::span(std::string_view("bytes")))));
    EXPECT_EQ(content_of(folder_ + "/dump"), "");
    ASSERT_TRUE(file->finish());
    EXPECT_EQ(content_of(folder_ + "/dump"), "bytes");
    const auto left = WholeFile::create(folder, "other", FileKind::Core);
    ASSERT_TRUE(left);
    EXPECT_EQ(files(), 4u);
  }
  EXPECT_EQ(files(), 3u);
  // Only what was made here is known by a number.
  EXPECT_FALSE(folder.finish(1));
  EXPECT_FALSE(folder.finish(77));
}

// A guest makes links and FIFOs in a folder that it may write.
TEST_F(KeeperTest, FollowsNoLinkThatAGuestHasMade) {
  namespace fs = std::filesystem;
  fs::create_directory(folder_ + "/share");
  fs::create_directory(folder_ + "/other");
  std::ofstream(folder_ + "/share/kernel") << "kernel";
  std::ofstream(folder_ + "/other/kernel") << "secret";
  fs::create_symlink("share/kernel", folder_ + "/link");
  const std::string inside = folder_ + "/share/kernel", by_link = folder_ + "/link";
  names_.inputs = {inside, by_link};
  names_.links = Links::OfTheStart;
  auto keeper = start_keeper(names_);
  ASSERT_TRUE(keeper);
  ASSERT_TRUE((*keeper)->begin());
  const auto content = [&](const std::string& path) {
    const auto file = (*keeper)->open_input(path);
    return file ? text_of(file->get()) : std::string(::strerror(file.error()));
  };
  EXPECT_EQ(content(inside), "kernel");
  EXPECT_EQ(content(by_link), "kernel") << "this link was there";
  fs::remove(inside);
  fs::create_symlink("../other/kernel", inside);
  EXPECT_EQ(content(inside), ::strerror(ELOOP));
  EXPECT_EQ(content(by_link), ::strerror(ELOOP));
  fs::remove_all(folder_ + "/share");
  fs::create_symlink("other", folder_ + "/share");
  EXPECT_EQ(content(inside), ::strerror(ELOOP)) << "a folder on the way";
  fs::remove(folder_ + "/share");
  fs::create_directory(folder_ + "/share");
  ASSERT_EQ(::mkfifo(inside.c_str(), 0600), 0);
  EXPECT_EQ(content(inside), ::strerror(ENODATA));
  fs::remove(inside);
  std::ofstream(inside) << "new";
  EXPECT_EQ(content(inside), "new") << "as a linker makes one";
}

// The keeper has opened them, and this process has no number for one more.
TEST_F(KeeperTest, SaysThatThereAreTooManyOpenFiles) {
  ASSERT_TRUE(keeper_->begin());
  rlimit before{};
  ASSERT_EQ(::getrlimit(RLIMIT_NOFILE, &before), 0);
  const auto next = static_cast<rlim_t>(::dup(STDIN_FILENO));
  ::close(static_cast<int>(next));
  const rlimit none{next, before.rlim_max};
  ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &none), 0);
  const auto input = keeper_->open_input(folder_ + "/kernel");
  const auto dump = keeper_->folder(FolderOf::Files).create("dump", FileKind::Core);
  const auto listener = keeper_->listen("unix:" + folder_ + "/gdb");
  ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &before), 0);
  ASSERT_FALSE(input);
  EXPECT_EQ(input.error(), EMFILE);
  ASSERT_FALSE(dump);
  EXPECT_EQ(dump.error().text(), "cannot write 'dump': Too many open files");
  ASSERT_FALSE(listener);
  EXPECT_EQ(listener.error().text(), "what was opened cannot be taken over: Too many open files");
  keeper_->end();
  EXPECT_EQ(files(), 2u) << "nothing is left of what was made";
}

TEST_F(KeeperTest, AFolderThatIsNotThereIsNamed) {
  EXPECT_EQ(keeper_->open_folder(FolderOf::Dump).error().text(),
            "directory '" + folder_ + "/none': No such file or directory");
  EXPECT_FALSE(keeper_->folder(FolderOf::Dump).create("core", FileKind::Core));
}

TEST_F(KeeperTest, ListensForOneDebugger) {
  for (const char* none : {"nonsense:port", "stdio", "fd:3"})
    EXPECT_FALSE(keeper_->listen(none)) << none;
  const std::string path = folder_ + "/gdb";
  const auto socket = keeper_->listen("unix:" + path);
  ASSERT_TRUE(socket) << socket.error().text();
  int listening = 0;
  socklen_t size = sizeof listening;
  ASSERT_EQ(::getsockopt(socket->get(), SOL_SOCKET, SO_ACCEPTCONN, &listening, &size), 0);
  EXPECT_EQ(listening, 1);
  EXPECT_FALSE(keeper_->listen("0"));
  EXPECT_TRUE(std::filesystem::exists(path));
  keeper_->end();
  EXPECT_FALSE(std::filesystem::exists(path));
}

// Of a process that is gone, while the machine goes on.
TEST_F(KeeperTest, RemovesASocketThatNobodyListensAt) {
  const auto exists = [&](const char* name) { return std::filesystem::exists(folder_ + name); };
  names_.sockets = {folder_ + "/one", folder_ + "/two"};
  auto keeper = start_keeper(names_);
  ASSERT_TRUE(keeper);
  for (const std::string& path : names_.sockets)
    ASSERT_TRUE(transport::Listener::open(transport::UnixEndpoint{path})->hand_over());
  ASSERT_TRUE((*keeper)->begin());
  (*keeper)->remove_socket(folder_ + "/secret");
  EXPECT_TRUE(exists("/secret")) << "which is none of them";
  (*keeper)->remove_socket(folder_ + "/one");
  EXPECT_FALSE(exists("/one"));
  EXPECT_TRUE(exists("/two"));
  std::ofstream(folder_ + "/one") << "another's";
  (*keeper)->remove_socket(folder_ + "/one");
  (*keeper)->end();
  EXPECT_TRUE(exists("/one"));
  EXPECT_FALSE(exists("/two"));
}

// The other side may be an intruder: what is no message ends the keeper, and nothing else happens.
TEST(KeeperProcess, EndsAtWhatIsNoMessage) {
  for (const std::string& message :
       {std::string("x"), std::string("\xff\0\0\0\0\0\0\0", 8),
        std::string("\0\xff\0\0\0\0\0\0", 8), std::string("\0\0\xff\0\0\0\0\0", 8),
        std::string(8 + 8193, '\0')}) {
    int ends[2];
    ASSERT_EQ(::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends), 0);
    Fd ours(ends[0]);
    std::thread keeper([socket = ends[1]] {
      const Fd own(socket);
      HostOutside outside({});
      keep(own.get(), outside, "", [] { return Result<void>(); });
    });
    ASSERT_EQ(::write(ours.get(), message.data(), message.size()),
              static_cast<ssize_t>(message.size()));
    EXPECT_FALSE(receive_answer(ours.get()));
    ours.reset();
    keeper.join();
  }
}

// The sentence quotes the name, and is longer than what fits into a message.
TEST(KeeperProcess, AnswersTheLongestRequest) {
  int ends[2];
  ASSERT_EQ(::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends), 0);
  const Fd ours(ends[0]);
  const Fd own(ends[1]);
  const std::string name(8192, 'x');
  ASSERT_TRUE(send(ours.get(), Request{Wish::Check, FolderOf::Files, FileKind::Core, 0, name}));
  ASSERT_TRUE(send(ours.get(), Request{}));
  ASSERT_EQ(::shutdown(ours.get(), SHUT_WR), 0);
  HostOutside outside({});
  keep(own.get(), outside, "", [] { return Result<void>(); });
  ASSERT_EQ(::shutdown(own.get(), SHUT_WR), 0);
  const auto answer = receive_answer(ours.get());
  ASSERT_TRUE(answer);
  EXPECT_EQ(answer->text, ("'" + name).substr(0, 8192));
  EXPECT_TRUE(receive_answer(ours.get())) << "the next request is answered as well";
}

// A message has room for one descriptor, and the kernel finds room for two.
TEST(KeeperProcess, ClosesDescriptorsThatNobodyWants) {
  int ends[2], pipe[2];
  ASSERT_EQ(::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends), 0);
  ASSERT_EQ(::pipe2(pipe, O_CLOEXEC | O_NONBLOCK), 0);
  const Fd ours(ends[0]), own(ends[1]), reads(pipe[0]);
  Fd writes(pipe[1]);
  std::array<char, 8> bytes{};
  bytes[0] = static_cast<char>(Wish::End);
  iovec part{bytes.data(), bytes.size()};
  const int both[] = {writes.get(), writes.get()};
  alignas(cmsghdr) std::array<char, CMSG_SPACE(sizeof both)> control{};
  msghdr message{};
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  message.msg_control = control.data();
  message.msg_controllen = control.size();
  *CMSG_FIRSTHDR(&message) = {CMSG_LEN(sizeof both), SOL_SOCKET, SCM_RIGHTS};
  std::memcpy(CMSG_DATA(CMSG_FIRSTHDR(&message)), both, sizeof both);
  ASSERT_EQ(::sendmsg(ours.get(), &message, 0), static_cast<ssize_t>(bytes.size()));
  EXPECT_TRUE(receive_request(own.get()));
  writes.reset();
  char none = 0;
  EXPECT_EQ(::read(reads.get(), &none, 1), 0) << "somebody has the other end open";
}

}  // namespace
}  // namespace ringside::sandbox
