// A folder of the host in which files are made, and looked for, under names that somebody has
// typed, perhaps a debugger. A name has no `/` and is text that a terminal only shows
// (base/plain_text.h), and what is made follows no link.
//
// This is an interface, because the process that runs the guest may have given up the right to open
// files; then another one does it (sandbox/keeper.h). Main thread.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <string_view>

#include "base/fd.h"
#include "base/file_kind.h"
#include "base/result.h"

namespace ringside {

class Folder {
 public:
  // A file that is being written, and has no name yet that anybody would look for. It is its
  // owner's alone (mode 0600), whatever the umask is.
  struct NewFile {
    Fd fd;
    std::uint32_t number = 0;  // by which finish() and discard() know it
  };

  virtual ~Folder() = default;
  Folder(const Folder&) = delete;
  Folder& operator=(const Folder&) = delete;
  // Whether a file of that kind may be made: what has the name already must be a regular file of
  // the same kind. Nothing is followed, waited for or changed.
  virtual Result<void> check(const std::string& name, FileKind kind) = 0;
  // check(), and then the file, which takes that name when it is finished.
  virtual Result<NewFile> create(const std::string& name, FileKind kind) = 0;
  // It takes its name, and replaces what had it. After an error there is no such file any more.
  virtual Result<void> finish(std::uint32_t number) = 0;
  // What was written is removed.
  virtual void discard(std::uint32_t number) = 0;
  // A Linux module's file, to be read: a regular file whose name has ".ko" in it. None if there is
  // no such file.
  virtual Fd open_module(const std::string& name) = 0;

 protected:
  Folder() = default;
};

// One that this process itself has open.
class OpenFolder final : public Folder {
 public:
  // The error is the system's, and names `path`. `where` says of the folder what it is, "the
  // directory of --files", where a name will not do.
  static Result<std::unique_ptr<OpenFolder>> open(const std::string& path,
                                                  std::string_view where = "one directory");
  // Nothing can be made in it.
  OpenFolder() = default;
  OpenFolder(Fd directory, std::string where)
      : directory_(std::move(directory)), where_(std::move(where)) {}
  ~OpenFolder() override;

  Result<void> check(const std::string& name, FileKind kind) override;
  Result<NewFile> create(const std::string& name, FileKind kind) override;
  Result<void> finish(std::uint32_t number) override;
  void discard(std::uint32_t number) override;
  Fd open_module(const std::string& name) override;

 private:
  struct Unfinished {
    std::string temporary, name;
  };
  Fd directory_;
  std::string where_;
  std::uint32_t next_ = 1;
  std::map<std::uint32_t, Unfinished> unfinished_;
};

// "cannot write 'NAME': ..."
Error cannot_write(const std::string& name, int errno_value);

}  // namespace ringside
