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
#include "share/testing/seed_folder.h"

namespace ringside::share::testing {

namespace fs = std::filesystem;

inline std::string text_of(const fs::path& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
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
    seed(shared());
    fs::create_directory(scratch_ / "outside");
    put_text(scratch_ / "outside/secret", "secret");
    put_text(scratch_ / "sharedsecret", "secret");
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
