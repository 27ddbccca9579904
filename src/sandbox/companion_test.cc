#include "sandbox/companion.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/socket.h>
#include <unistd.h>

#include <filesystem>
#include <string>

namespace ringside::sandbox {
namespace {

std::string receive(const Fd& socket) {
  char text[256];
  const ssize_t size = ::recv(socket.get(), text, sizeof text, 0);
  return {text, static_cast<std::size_t>(std::max<ssize_t>(size, 0))};
}

void say(int socket, const std::string& text) {
  (void)::send(socket, text.data(), text.size(), MSG_NOSIGNAL);
}

std::string open_files() {
  std::string numbers;
  for (const auto& entry : std::filesystem::directory_iterator("/proc/self/fd")) {
    const std::string target = std::filesystem::read_symlink(entry.path());
    if (target.find("/fd") == std::string::npos) numbers += target + "\n";
  }
  return numbers;
}

TEST(Companion, HasItsSocketAndNothingElse) {
  const auto socket =
      start_companion("test-companion", CompanionSocket::Stream,
                      [](CompanionFiles files) { say(files.socket, open_files()); });
  ASSERT_TRUE(socket);
  const std::string files = receive(*socket);
  EXPECT_EQ(files.find("pipe"), std::string::npos) << files;
  EXPECT_EQ(std::count(files.begin(), files.end(), '\n'), 4) << files;
  EXPECT_EQ(receive(*socket), "") << "it ends when it has nothing more to do";
}

TEST(Companion, KeepsOneFileThatIsNamed) {
  const Fd folder(::open("/proc/self", O_PATH | O_DIRECTORY | O_CLOEXEC));
  const auto socket = start_companion(
      "test-companion", CompanionSocket::Packets,
      [](CompanionFiles files) {
        struct stat status {};
        say(files.socket, ::fstatat(files.kept, "stat", &status, 0) == 0 ? "there" : "gone");
      },
      folder.get());
  ASSERT_TRUE(socket);
  EXPECT_EQ(receive(*socket), "there");
}

// Where the standard streams are closed, their numbers are those of the next files.
TEST(Companion, TakesNoStandardStreamForItsOwn) {
  const auto outer =
      start_companion("test-outer", CompanionSocket::Packets, [](CompanionFiles files) {
        for (int standard = 0; standard < 3; ++standard)
          ::close(standard);
        const auto inner =
            start_companion("test-inner", CompanionSocket::Packets,
                            [](CompanionFiles inner_files) { say(inner_files.socket, "works"); });
        say(files.socket, inner ? receive(*inner) : "no companion");
      });
  ASSERT_TRUE(outer);
  EXPECT_EQ(receive(*outer), "works");
}

TEST(Companion, OutlivesSignalsOfTheTerminal) {
  const auto socket =
      start_companion("test-companion", CompanionSocket::Packets, [](CompanionFiles files) {
        for (const int number : {SIGINT, SIGTERM, SIGHUP, SIGUSR1})
          ::raise(number);
        say(files.socket, "still here");
      });
  ASSERT_TRUE(socket);
  EXPECT_EQ(receive(*socket), "still here");
}

}  // namespace
}  // namespace ringside::sandbox
