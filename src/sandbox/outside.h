// What the process wants of the host by name once the guest runs: the files that a reset reads
// again, the folders into which dumps and saved machines go, an endpoint for a debugger that comes
// late. All of it was named at the start, and nothing else is to be had here.
//
// Whoever runs the guest may have given up these rights; then another process does it (keeper.h).
// Main thread.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "base/fd.h"
#include "base/folder.h"
#include "base/result.h"
#include "sandbox/rights.h"

namespace ringside::sandbox {

enum class FolderOf : std::uint8_t {
  Files,  // a debugger's
  Save,   // of the machine at its end
  Dump,   // of a guest that dies
};
inline constexpr std::size_t kFolders = 3;

// Symbolic links on the way to an input: all that are there, or those that were at the start, where
// a guest can put others into a shared folder.
enum class Links : std::uint8_t { OfNow, OfTheStart };

struct Names {
  std::vector<std::string> inputs;            // files to be read, now and at a reset
  Links links = Links::OfNow;                 // to them
  std::array<std::string, kFolders> folders;  // empty: there is none
  std::vector<std::string> sockets;           // of Unix sockets, to be removed at the end
  bool debugger_may_come = false;             // nobody listens for one from the start
  Rights rights;                              // of who opens them
};

class Outside {
 public:
  virtual ~Outside() = default;
  Outside(const Outside&) = delete;
  Outside& operator=(const Outside&) = delete;

  // One of the inputs, to be read; the error is an errno.
  virtual tl::expected<Fd, int> open_input(const std::string& path) = 0;
  // Once for each, before it is used and before begin().
  virtual Result<void> open_folder(FolderOf which) = 0;
  virtual Folder& folder(FolderOf which) = 0;
  // Whether listen() has to be asked, or the process may do it itself.
  virtual bool listens_for_us() const = 0;
  // A socket that listens there. Once.
  virtual Result<Fd> listen(const std::string& endpoint) = 0;
  // All endpoints are open and the guest begins: from now on the sockets' files are looked after.
  virtual Result<void> begin() = 0;
  // Of Names::sockets: nobody listens there any more.
  virtual void remove_socket(const std::string& path) = 0;
  // The machine has ended, and all that listened is closed.
  virtual void end() = 0;

 protected:
  Outside() = default;
};

// This process has the rights itself.
class HostOutside final : public Outside {
 public:
  explicit HostOutside(Names names);

  tl::expected<Fd, int> open_input(const std::string& path) override;
  Result<void> open_folder(FolderOf which) override;
  Folder& folder(FolderOf which) override { return *folders_[static_cast<std::size_t>(which)]; }
  bool listens_for_us() const override { return false; }
  Result<Fd> listen(const std::string& endpoint) override;
  Result<void> begin() override;
  void remove_socket(const std::string& path) override;
  void end() override;

 private:
  // The file of a socket, known by more than its name: another process may have put its own there.
  struct SocketFile {
    std::string path;
    std::uint64_t device = 0, inode = 0;
  };
  // An input as it was at the start.
  struct Input {
    std::string path;
    std::string file;         // without a link; empty: it is opened by `path`
    bool is_regular = false;  // and remains so
  };
  Input look_at(const std::string& path) const;
  void remember(const std::string& path);
  static void remove(const SocketFile& socket);

  Names names_;
  std::vector<Input> inputs_;
  std::array<std::unique_ptr<OpenFolder>, kFolders> folders_;
  std::vector<SocketFile> sockets_;
};

}  // namespace ringside::sandbox
