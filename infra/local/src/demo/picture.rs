//! Portraits of nobody: a face drawn from a few ellipses, as PNG or JPEG.

use super::DemoError;

/// A colour: red, green, blue.
pub(super) type Colour = [u8; 3];

/// What tells one portrait from another.
#[derive(Clone, Copy, Debug)]
pub(super) struct Look {
    pub(super) background: Colour,
    pub(super) skin: Colour,
    pub(super) hair: Colour,
    pub(super) clothes: Colour,
    pub(super) long_hair: bool,
    pub(super) glasses: bool,
}

/// Pixels, row by row from the top.
#[derive(Clone, Debug)]
pub(super) struct Picture {
    width: u16,
    height: u16,
    rgb: Vec<u8>,
}

/// Samples a pixel's side is divided into, for smooth edges.
const SAMPLES: u16 = 2;

impl Picture {
    /// Draws a portrait of `width` pixels, a quarter higher than wide.
    pub(super) fn portrait(width: u16, look: &Look) -> Self {
        let height = width / 4 * 5;
        let step = 1.0 / f32::from(width * SAMPLES);
        let samples = u32::from(SAMPLES) * u32::from(SAMPLES);
        let mut rgb = Vec::with_capacity(usize::from(width) * usize::from(height) * 3);
        for row in 0..height {
            for column in 0..width {
                let mut sum = [0_u32; 3];
                for sample_y in 0..SAMPLES {
                    for sample_x in 0..SAMPLES {
                        let x = f32::from(column * SAMPLES + sample_x) * step;
                        let y = f32::from(row * SAMPLES + sample_y) * step;
                        for (total, part) in sum.iter_mut().zip(look.colour_at(x, y)) {
                            *total += u32::from(part);
                        }
                    }
                }
                rgb.extend(sum.map(|total| u8::try_from(total / samples).unwrap_or(u8::MAX)));
            }
        }
        Self { width, height, rgb }
    }

    /// As PNG, 8 bits a channel.
    ///
    /// # Errors
    /// When the encoder refuses the picture.
    pub(super) fn to_png(&self) -> Result<Vec<u8>, DemoError> {
        let mut bytes = Vec::new();
        let mut encoder = png::Encoder::new(&mut bytes, u32::from(self.width), u32::from(self.height));
        encoder.set_color(png::ColorType::Rgb);
        encoder.set_depth(png::BitDepth::Eight);
        let mut writer = encoder.write_header()?;
        writer.write_image_data(&self.rgb)?;
        writer.finish()?;
        Ok(bytes)
    }

    /// As JPEG, baseline.
    ///
    /// # Errors
    /// When the encoder refuses the picture.
    pub(super) fn to_jpeg(&self) -> Result<Vec<u8>, DemoError> {
        let mut bytes = Vec::new();
        jpeg_encoder::Encoder::new(&mut bytes, 85).encode(
            &self.rgb,
            self.width,
            self.height,
            jpeg_encoder::ColorType::Rgb,
        )?;
        Ok(bytes)
    }
}

impl Look {
    /// The colour at a point: `x` from 0 to 1, `y` from 0 (top) to 1.25.
    fn colour_at(&self, x: f32, y: f32) -> Colour {
        // Both halves of a person are the same, the parting of the hair aside.
        let side = (x - 0.5).abs();
        if ellipse(side, y, 0.0, 0.53, 0.23, 0.29) {
            self.face_colour(x, side, y)
        } else if !self.long_hair && ellipse(side, y, 0.235, 0.54, 0.035, 0.06) {
            shade(self.skin, 0.9)
        } else if side < 0.09 && y > 0.7 && y < 0.94 - 0.5 * side {
            shade(self.skin, 0.85)
        } else if self.long_hair && ellipse(side, y, 0.0, 0.6, 0.31, 0.42) && y < 0.93 {
            shade(self.hair, 0.85)
        } else if ellipse(side, y, 0.0, 0.45, 0.26, 0.26) {
            self.hair
        } else if ellipse(side, y, 0.0, 1.27, 0.44, 0.4) {
            shade(self.clothes, 1.05 - 0.4 * side)
        } else {
            shade(self.background, 1.1 - 0.35 * y)
        }
    }

    fn face_colour(&self, x: f32, side: f32, y: f32) -> Colour {
        const INK: Colour = [45, 38, 40];
        const LIPS: Colour = [176, 82, 84];
        const WHITE: Colour = [250, 250, 248];
        let pupil = ellipse(side, y, 0.1, 0.52, 0.017, 0.021);
        if pupil || (self.glasses && ring(side, y)) {
            INK
        } else if ellipse(side, y, 0.1, 0.52, 0.042, 0.028) {
            WHITE
        } else if y > 0.68 && ellipse(side, y, 0.0, 0.655, 0.1, 0.06) {
            LIPS
        } else if y < 0.39 - 0.35 * (x - 0.42).abs() {
            self.hair
        } else if y < 0.455 && ellipse(side, y, 0.1, 0.455, 0.058, 0.02) {
            shade(self.hair, 0.8)
        } else if y > 0.598 && ellipse(side, y, 0.0, 0.595, 0.028, 0.02) {
            shade(self.skin, 0.85)
        } else {
            shade(self.skin, 1.0 - 0.25 * side)
        }
    }
}

/// Whether a point is inside an ellipse of this centre and these half axes.
fn ellipse(x: f32, y: f32, centre_x: f32, centre_y: f32, half_width: f32, half_height: f32) -> bool {
    let (dx, dy) = ((x - centre_x) / half_width, (y - centre_y) / half_height);
    dx * dx + dy * dy <= 1.0
}

/// The frame of the glasses, with its bridge.
fn ring(side: f32, y: f32) -> bool {
    let glass = ellipse(side, y, 0.1, 0.52, 0.078, 0.07) && !ellipse(side, y, 0.1, 0.52, 0.066, 0.058);
    glass || (side < 0.03 && (y - 0.51).abs() < 0.007)
}

/// A colour made darker (below 1) or lighter (above).
fn shade(colour: Colour, factor: f32) -> Colour {
    colour.map(|part| (f32::from(part) * factor).clamp(0.0, 255.0) as u8)
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    const LOOK: Look = Look {
        background: [170, 200, 220],
        skin: [236, 188, 150],
        hair: [90, 56, 36],
        clothes: [50, 80, 120],
        long_hair: true,
        glasses: true,
    };

    #[test]
    fn a_png_gives_back_every_pixel() {
        let picture = Picture::portrait(80, &LOOK);
        let (size, rgb) = read_png(&picture.to_png().unwrap());
        assert_eq!(size, (80, 100));
        assert_eq!(rgb, picture.rgb);
    }

    #[test]
    fn a_jpeg_gives_back_nearly_every_pixel() {
        let picture = Picture::portrait(80, &LOOK);
        let (size, rgb) = read_jpeg(&picture.to_jpeg().unwrap());
        assert_eq!(size, (80, 100));
        let difference: u32 = picture
            .rgb
            .iter()
            .zip(&rgb)
            .map(|(one, other)| u32::from(one.abs_diff(*other)))
            .sum();
        let mean = f64::from(difference) / rgb.len() as f64;
        assert!(mean < 4.0, "{mean}");
    }

    #[test]
    fn looks_differ() {
        let plain = Look {
            glasses: false,
            ..LOOK
        };
        assert_ne!(
            Picture::portrait(80, &LOOK).rgb,
            Picture::portrait(80, &plain).rgb
        );
    }

    /// Size in pixels and the pixels of a PNG.
    pub(in crate::demo) fn read_png(bytes: &[u8]) -> ((u32, u32), Vec<u8>) {
        let mut reader = png::Decoder::new(std::io::Cursor::new(bytes))
            .read_info()
            .unwrap();
        let mut rgb = vec![0; reader.output_buffer_size().unwrap()];
        let frame = reader.next_frame(&mut rgb).unwrap();
        reader.finish().unwrap();
        ((frame.width, frame.height), rgb)
    }

    /// Size in pixels and the pixels of a JPEG, by another project's decoder.
    pub(in crate::demo) fn read_jpeg(bytes: &[u8]) -> ((u32, u32), Vec<u8>) {
        let mut decoder = zune_jpeg::JpegDecoder::new(std::io::Cursor::new(bytes));
        let rgb = decoder.decode().unwrap();
        let (width, height) = decoder.dimensions().unwrap();
        ((width as u32, height as u32), rgb)
    }
}
