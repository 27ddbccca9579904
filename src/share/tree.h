// The files of the shared folder, by descriptors. All that has a name is opened here or by a call
// that is given one Name in a directory that was opened here, so nothing outside of the folder is
// reached: no link is followed, and "..", which is a path and no Name, is looked for from the
// folder downwards.
#pragma once

#include <sys/stat.h>

#include <memory>
#include <string>

#include "base/fd.h"
#include "share/name.h"
#include "share/outcome.h"

namespace ringside::share {

// A file of any kind. Its descriptor gives no access to what is in it (O_PATH), unless it was
// opened; both serve for everything else. A descriptor stays with its file when that is renamed or
// removed.
struct Object {
  Fd fd;
  mode_t type = 0;  // S_IFREG and its like, which no file changes

  bool is_directory() const { return S_ISDIR(type); }
  bool is_symbolic_link() const { return S_ISLNK(type); }
};

Outcome<struct stat> status_of(const Object& object);

struct Found {
  std::shared_ptr<const Object> object;
  struct stat status;
};

// A name by which a file is to be had now.
struct Place {
  Fd directory;
  Name name;
};

class Tree {
 public:
  // A directory.
  explicit Tree(Fd root);

  const std::shared_ptr<const Object>& root() const { return root_; }
  dev_t device() const { return status_.st_dev; }
  ino_t inode() const { return status_.st_ino; }
  bool is_root(const Object& object) const;
  // The root has a name still, or what is in it is reached all the same.
  bool is_there() const;

  Outcome<Found> child(const Object& directory, const Name& name) const;
  // The root's is the root. ESTALE: it is not below the root any more.
  Outcome<Found> parent(const Object& directory) const;
  // ENOENT: it has been removed; ESTALE: it is not below the root any more; EBUSY: it is the root.
  Outcome<Place> place_of(const Object& object) const;

  // Regular files and directories alone are opened, whatever the flags: another kind might wait for
  // somebody, or be more than a file. ENXIO: it is none of them.
  Outcome<std::shared_ptr<const Object>> open(const Object& object, int flags) const;
  // A regular file that is made there, or was there already unless `flags` have O_EXCL.
  struct Made {
    std::shared_ptr<const Object> object;
    bool is_new = false;
  };
  Outcome<Made> create(const Object& directory, const Name& name, int flags, mode_t mode) const;

 private:
  std::shared_ptr<const Object> root_;
  struct stat status_ {};
};

// By which calls that take a path have that very file, whatever its name is: "/proc/self/fd/N".
std::string path_by_descriptor(const Object& object);

// Whether this kernel, and what confines this process, permit what a tree needs.
Outcome<> try_tree(const Fd& root);

}  // namespace ringside::share
