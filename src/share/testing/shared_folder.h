// A shared folder with files in it, beside something that nobody may reach, and a client of it.
#pragma once

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <filesystem>
#include <fstream>
#include <iterator>
#include <map>
#include <memory>
#include <string>

#include "base/testing/temporary_folder.h"
#include "share/server.h"
#include "share/testing/client.h"

namespace ringside::share::testing {

namespace fs = std::filesystem;

inline std::string text_of(const fs::path& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}
inline void put_text(const fs::path& path, std::string_view text) {
  std::ofstream(path, std::ios::binary) << text;
}
inline struct stat status_of(const fs::path& path) {
  struct stat status {};
  EXPECT_EQ(::lstat(path.c_str(), &status), 0) << path;
  return status;
}

// Modes are as a guest asks for them.
class NoMask {
 public:
  NoMask() : before_(::umask(0)) {}
  ~NoMask() { ::umask(before_); }
  NoMask(const NoMask&) = delete;
  NoMask& operator=(const NoMask&) = delete;

 private:
  mode_t before_;
};

class SharedFolder : public ::testing::Test {
 protected:
  SharedFolder() {
    fs::create_directories(shared("folder/deep"));
    fs::create_directory(scratch_ / "outside");
    put_text(shared("file"), "text");
    put_text(shared("folder/inner"), "inner text");
    put_text(scratch_ / "outside/secret", "secret");
    put_text(scratch_ / "sharedsecret", "secret");
    fs::create_symlink("../outside", shared("way-out"));
    fs::create_symlink("../outside/secret", shared("secret"));
    fs::create_symlink("file", shared("link"));
    fs::create_symlink("nowhere", shared("dangling"));
    share(Access::ReadWrite);
  }
  fs::path shared(const char* name = "") const { return scratch_.path() / "shared" / name; }
  fs::path outside(const char* name = "") const { return scratch_.path() / "outside" / name; }
  Fd directory() const { return Fd(::open(shared().c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC)); }
  // Anew, with a client that has attached.
  void share(Access access, std::uint32_t message_size = kLargestMessage) {
    server_ = std::make_unique<Server>(directory(), access);
    client_ = std::make_unique<Client>(*server_);
    client_->begin(message_size);
  }
  Client& client() { return *client_; }

  static constexpr std::uint32_t kRoot = Client::kRoot;
  const NoMask no_mask_;
  const ringside::testing::TemporaryFolder scratch_;
  std::unique_ptr<Server> server_;
  std::unique_ptr<Client> client_;
};

}  // namespace ringside::share::testing
