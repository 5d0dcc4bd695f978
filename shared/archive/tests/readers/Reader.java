import java.io.BufferedInputStream;
import java.io.FileInputStream;
import java.util.zip.ZipEntry;
import java.util.zip.ZipFile;
import java.util.zip.ZipInputStream;

/** Reads an archive to its end as a stream, then by its directory, and prints the number of entries. */
class Reader {
    public static void main(String[] arguments) throws Exception {
        byte[] chunk = new byte[1 << 16];
        long streamed = 0;
        try (ZipInputStream in =
                new ZipInputStream(new BufferedInputStream(new FileInputStream(arguments[0])))) {
            while (in.getNextEntry() != null) {
                while (in.read(chunk) >= 0) {}
                in.closeEntry();
                streamed++;
            }
        }
        long listed = 0;
        try (ZipFile file = new ZipFile(arguments[0])) {
            for (var entries = file.entries(); entries.hasMoreElements(); listed++) {
                ZipEntry entry = entries.nextElement();
                try (var in = file.getInputStream(entry)) {
                    while (in.read(chunk) >= 0) {}
                }
            }
        }
        System.out.println(streamed + " " + listed);
    }
}
