#include "determinism/initramfs.h"

#include <fmt/format.h>

namespace ringside::testing {
namespace {

void align(std::string& archive) { archive.resize((archive.size() + 3) & ~std::size_t{3}); }

// A header of thirteen fields of eight digits (cpio(5)), the name, the content.
void append(std::string& archive, unsigned inode, unsigned mode, const std::string& name,
            const std::string& content) {
  archive += "070701";
  for (const std::size_t field :
       {std::size_t{inode}, std::size_t{mode}, std::size_t{0}, std::size_t{0}, std::size_t{1},
        std::size_t{0}, content.size(), std::size_t{0}, std::size_t{0}, std::size_t{0},
        std::size_t{0}, name.size() + 1, std::size_t{0}})
    archive += fmt::format("{:08x}", field);
  archive += name + '\0';
  align(archive);
  archive += content;
  align(archive);
}

}  // namespace

std::string make_initramfs(const std::vector<std::pair<std::string, std::string>>& programs) {
  constexpr unsigned kExecutable = 0100755;
  std::string archive;
  unsigned inode = 1;
  for (const auto& [name, content] : programs)
    append(archive, inode++, kExecutable, name, content);
  append(archive, 0, 0, "TRAILER!!!", "");
  return archive;
}

}  // namespace ringside::testing
