#include "guests/linux/modules.h"

#include <elf.h>
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "guests/linux/module_file.h"
#include "guests/linux/os_data.h"
#include "guests/linux/testing/synthetic_kernel.h"

namespace ringside::guests {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using testing::SyntheticKernel;
using testing::TableWriter;

class Modules : public ::testing::TestWithParam<testing::KernelFlavour> {
 protected:
  Modules() {
    guest.module(at(0), "virtio_blk", 0, {{".text", at(0)}, {".data", code + 0x3000}});
    guest.module(at(1), "button", 1, {{".text", at(1)}});
    guest.module(at(2), "half", 3, {});
    guest.build();
  }
  std::uint64_t at(std::uint64_t n) const { return guest.direct + 0x700000 + n * 0x1000; }
  ~Modules() override { EXPECT_TRUE(guest.vm.memory().mmio_log.empty()) << "a device was touched"; }
  ModuleList list() { return list_modules(*LinuxKernel::find(guest.vm).value()).value(); }
  std::string text() { return describe_modules(list()); }
  unsigned size() const { return size_of(guest.word); }
  SyntheticKernel guest{2, GetParam()};
  const std::uint64_t code = guest.word == Word::Bits64 ? 0xffffffffc0000000 : 0xf8000000;
};
INSTANTIATE_TEST_SUITE_P(, Modules, ::testing::ValuesIn(testing::kFlavours));

TEST_P(Modules, AreListedWithTheirSections) {
  const auto line = [&](std::uint64_t where, const char* rest) {
    return fmt::format("{:#0{}x} {}\n", where, 2 * size() + 2, rest);
  };
  EXPECT_EQ(text(), fmt::format("{:<{}}     SIZE STATE   NAME\n", "CODE", 2 * size() + 2) +
                        line(at(0), "    4096 live    virtio_blk") +
                        line(at(1), "    4096 coming  button"));
  const ModuleList modules = list();
  ASSERT_EQ(modules.modules.size(), 2u) << "one that is not formed yet is none";
  ASSERT_EQ(modules.modules[0].sections.size(), 2u);
  EXPECT_EQ(modules.modules[0].sections[1].name, ".data");
  EXPECT_EQ(modules.modules[0].sections[1].address, Gva{code + 0x3000});
}

TEST_P(Modules, ListsThatLieAreCutOff) {
  guest.poke_word(at(1) + size(), at(0) + size());
  EXPECT_THAT(text(), HasSubstr("This is not all: the list runs in a circle.\n"));
  guest.poke_word(at(1) + size(), guest.device);
  EXPECT_THAT(text(), HasSubstr("This is not all: the list leads to memory that is not there.\n"));
  EXPECT_EQ(list().modules.size(), 2u);
}

TEST_P(Modules, SectionsThatLieAreLeftOut) {
  const std::uint64_t attributes = at(0) + SyntheticKernel::kModule;
  guest.poke(attributes + 16, std::uint32_t{0xffffffff});
  EXPECT_LE(list().modules[0].sections.size(), kMostSections);
  guest.poke_word(attributes + 16 + size(), guest.device);
  EXPECT_THAT(list().modules[0].sections, IsEmpty());
  guest.poke_word(at(0) + 192, guest.device);
  EXPECT_THAT(list().modules[0].sections, IsEmpty());
  const std::string name(64 - size(), 'n');
  guest.put(at(0) + 3 * size(), name);
  EXPECT_EQ(list().modules[0].name, name);
}

TEST_P(Modules, AndTasksAreTablesForInfoOs) {
  guest.process(at(5), 1, "a<b");
  guest.process(at(6), 2, "kthreadd");
  LinuxKernels kernels(guest.vm);
  EXPECT_THAT(*os_data(kernels, ""), AllOf(HasSubstr("<column name=\"Type\">processes</column>"),
                                           HasSubstr("<osdata type=\"types\">")));
  EXPECT_THAT(*os_data(kernels, "processes"),
              HasSubstr("<item><column name=\"pid\">1</column><column name=\"process\">1</column>"
                        "<column name=\"state\">S</column><column name=\"vcpu\"></column>"
                        "<column name=\"command\">a&lt;b</column></item>\n"));
  EXPECT_THAT(*os_data(kernels, "cpus"),
              HasSubstr("<column name=\"vcpu\">1</column><column name=\"cpu\">1</column>"
                        "<column name=\"pid\">0</column><column name=\"command\">swapper/0<"));
  EXPECT_THAT(*os_data(kernels, "modules"),
              HasSubstr(fmt::format("<column name=\"address\">{:#x}</column>", at(1))));
  EXPECT_THAT(os_data(kernels, "files").error().text(), HasSubstr("there are cpus, modules and"));
}

struct Section {
  std::string name;
  std::uint64_t flags, size;
};

template <typename Header = Elf64_Ehdr, typename Entry = Elf64_Shdr>
std::string file_with(const std::vector<Section>& sections, const std::string& note = "") {
  Header header{};
  std::memcpy(header.e_ident, ELFMAG, SELFMAG);
  header.e_ident[EI_CLASS] = sizeof header == sizeof(Elf64_Ehdr) ? ELFCLASS64 : ELFCLASS32;
  header.e_type = ET_REL;
  header.e_shentsize = sizeof(Entry);
  header.e_shnum = static_cast<std::uint16_t>(sections.size() + 1);
  std::string names(1, '\0'), table;
  std::vector<Entry> all;
  for (const Section& section : sections) {
    Entry entry{};
    entry.sh_name = static_cast<std::uint32_t>(names.size());
    entry.sh_flags = static_cast<decltype(entry.sh_flags)>(section.flags);
    entry.sh_size = static_cast<decltype(entry.sh_size)>(section.size);
    entry.sh_offset = sizeof header;
    all.push_back(entry);
    names += section.name + '\0';
  }
  Entry entry{};
  entry.sh_offset = static_cast<decltype(entry.sh_offset)>(sizeof header + note.size());
  entry.sh_size = static_cast<decltype(entry.sh_size)>(names.size());
  all.push_back(entry);
  header.e_shstrndx = static_cast<std::uint16_t>(sections.size());
  header.e_shoff =
      static_cast<decltype(header.e_shoff)>(sizeof header + note.size() + names.size());
  TableWriter file;
  file.put(header).raw(note).raw(names);
  for (const Entry& section : all)
    file.put(section);
  return file.bytes();
}

Result<ModuleFile> read(const std::string& text) {
  return read_module_file(std::as_bytes(std::span(text)));
}

TEST_P(Modules, AFilesSectionsGetTheAddressesOfTheSameNames) {
  const std::vector<Section> sections = {{"", 0, 0},
                                         {".modinfo", SHF_ALLOC, 0x80},
                                         {".text", SHF_ALLOC, 0x100},
                                         {".rela.text", 0, 0x200},
                                         {".data", SHF_ALLOC, 0x40},
                                         {".bss", SHF_ALLOC, 0}};
  const auto file = read(guest.word == Word::Bits64 ? file_with(sections)
                                                    : file_with<Elf32_Ehdr, Elf32_Shdr>(sections));
  ASSERT_TRUE(file) << file.error().text();
  ASSERT_EQ(file->sections.size(), 4u);
  EXPECT_THAT(place_sections(*file, list().modules[0]),
              ElementsAre(at(0) + 0x1000, at(0), code + 0x3000, at(0) + 0x1080));
}

TEST_P(Modules, OnlyTheFileThatWasLoadedIsUsed) {
  const auto file = read(file_with({{".note.gnu.build-id", SHF_ALLOC, 8}}, "THE NOTE"));
  ASSERT_TRUE(file);
  const auto kernel = LinuxKernel::find(guest.vm).value();
  const std::uint64_t note = guest.data(0x5000);
  const Module module{"m", Gva{}, 0, 'L', {{".note.gnu.build-id", Gva{note}}}};
  EXPECT_FALSE(is_loaded_file(*file, module, kernel->memory()));
  guest.put(note, "THE NOTE");
  EXPECT_TRUE(is_loaded_file(*file, module, kernel->memory()));
  EXPECT_FALSE(is_loaded_file(*file, {}, kernel->memory()));
}

TEST(ModuleFile, WhatIsNoneIsRefused) {
  EXPECT_FALSE(read(""));
  EXPECT_FALSE(read(std::string(1000, 'x')));
  const std::string good = file_with({{".text", SHF_ALLOC, 1}});
  ASSERT_TRUE(read(good));
  for (std::size_t size = 0; size < good.size(); ++size)
    EXPECT_FALSE(read(good.substr(0, size)));
  for (std::size_t byte = 0; byte < good.size(); ++byte) {
    std::string changed = good;
    changed[byte] = static_cast<char>(~changed[byte]);
    (void)read(changed);
  }
}

TEST(ModuleFile, NamesComeFromTheModules) {
  EXPECT_THAT(file_names("virtio_blk"), ElementsAre("virtio_blk.ko", "virtio-blk.ko"));
  EXPECT_THAT(file_names("button"), ElementsAre("button.ko"));
  EXPECT_THAT(file_names("../x"), IsEmpty());
  EXPECT_THAT(file_names(""), IsEmpty());
  EXPECT_THAT(file_names("a?b"), IsEmpty());
  EXPECT_EQ(library_name("virtio_blk"), "virtio_blk.ko");
  EXPECT_EQ(library_name("../../etc/x\x1b"), "..?..?etc?x?.ko");
}

}  // namespace
}  // namespace ringside::guests
